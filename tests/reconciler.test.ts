import { expect, it } from 'vitest'
import { systemClock } from '../src/clock.ts'
import type { Message } from '../src/iso8583/message.ts'
import type { Ledger } from '../src/ledger/ledger.ts'
import type { SqlTransaction } from '../src/ledger/programme/desk.ts'
import type { Statement } from '../src/ledger/connection.ts'
import { silentLogger } from '../src/log.ts'
import { Reconciler } from '../src/reconciler.ts'
import type { ReconciliationResult } from '../src/response/reconciliationAnswer.ts'
import type { MessageLink } from '../src/settings.ts'

/** A database in which a SQL transaction stays open, and that counts who uses it at once. */
class StalledDesk {
  busy = 0
  busiest = 0

  async read<T>(look: (tx: SqlTransaction) => Promise<T>): Promise<T> {
    this.busiest = Math.max(this.busiest, ++this.busy)
    const row = ({ name }: Statement): Promise<object> =>
      Promise.resolve({ read_event_number: { number: 7 }, take_xid: { xid: '9' }, have_ended: { ended: false } }[name] ?? {})
    try {
      return await look({ shard: 0, nowMs: Date.now(), row } as unknown as SqlTransaction)
    } finally {
      this.busy--
    }
  }
}

it('shifts that wait for a SQL transaction which stays open leave the desk its connections, and are told 91', async () => {
  const desk = new StalledDesk()
  const reconciler = new Reconciler({
    config: {
      settlement: { addUpEveryMs: 60_000, shiftsWaitingMax: 64, patienceMs: 100 },
    },
    ledger: {} as Pick<Ledger, 'terminals'>,
    desk: desk,
    clock: systemClock,
    log: silentLogger,
  })
  const fields: Record<number, string> = { 7: '1127120000' }
  const close = (stan: number): Promise<ReconciliationResult | undefined> =>
    new Promise((resolve) => {
      const text = (de: number): string | undefined => (de === 11 ? String(stan).padStart(6, '0') : fields[de])
      const link: MessageLink = { name: 'pos', keyTime: 'transmission' }
      const origin = { link: 'pos', certificate: undefined, bindTerminals: false, macKey: undefined }
      reconciler.answer(link, origin, { mti: '0500', text } as unknown as Message, resolve)
    })
  const results = await Promise.all(Array.from({ length: 40 }, (_, index) => close(index + 1)))
  expect(new Set(results.map((result) => result?.responseCode))).toEqual(new Set(['91']))
  expect(desk.busiest).toBe(1)
})
