/** Outlets that earn something and business days that are closed when a test says so, without a message or a clock: in the ledger's own way from the book on. */
import { randomUUID } from 'node:crypto'
import type { Desk } from '../../src/ledger/programme/desk.ts'
import { postBook } from '../../src/ledger/settlement/book.ts'
import { addUpDays, closeDay, cutDay, lockDays, openDay, readOpenDay } from '../../src/ledger/settlement/days.ts'
import { addDays } from '../../src/programme/calendar.ts'
import type { TestSwitch } from '../support/switch.ts'

export interface Outlet {
  readonly id: number
  readonly acceptorId: string
}

/** Check digits that are right, whatever the account. */
export function egyptianIban(account: number): string {
  const bban = `00190005${String(account).padStart(17, '0')}`
  // E is 14, G is 16; the check digits are what makes 98 less the remainder.
  const check = 98n - (BigInt(`${bban}141600`) % 97n)
  return `EG${String(check).padStart(2, '0')}${bban}`
}

const FIRST_DAY = { day: '2026-11-01', after: 0 }

export class Outlets {
  readonly #running: TestSwitch
  readonly #desk: Desk
  #count = 0

  constructor(running: TestSwitch, desk: Desk) {
    this.#running = running
    this.#desk = desk
  }

  /** @param account false: nobody can be paid yet */
  async add(account = true): Promise<Outlet> {
    const acceptorId = `OUTLET${String(++this.#count).padStart(4, '0')}`
    const [row] = await this.#running.sql<{ id: string }>(
      `INSERT INTO merchant (id, acceptor_id, name, category, governorate) VALUES (nextval('merchant_number'), $1, $2, '5462', 3) RETURNING id`,
      [acceptorId, `مخبز ${acceptorId}`],
    )
    const id = Number(row?.id)
    if (account) await this.setAccount({ id, acceptorId })
    return { id, acceptorId }
  }

  async setAccount({ id }: Outlet): Promise<void> {
    await this.#running.sql(
      `INSERT INTO merchant_bank_account (merchant_id, version, iban, bic, holder_name, state, made_by, made_at, decided_at)
       VALUES ($1, 1, $2, NULL, $3, 'in-force', 'test', now(), now())`,
      [id, egyptianIban(id), `مخبز & شركاه <${String(id)}>`],
    )
  }

  /** Below zero it is given back. */
  async earn({ id }: Outlet, piasters: number, code = 2210): Promise<void> {
    const [outlet, payer] = [
      { code, owner: id },
      { code: 1210, owner: 0 },
    ]
    const [debit, credit] = piasters > 0 ? [payer, outlet] : [outlet, payer]
    await this.#desk.upkeep((tx) =>
      postBook(tx, [
        {
          ...{ key: randomUUID(), kind: 'test', valueDate: null, reference: null, madeBy: 'test', note: null },
          transfers: [
            {
              ...{ debitCode: debit.code, debitOwner: debit.owner, creditCode: credit.code, creditOwner: credit.owner },
              amount: Math.abs(piasters),
            },
          ],
        },
      ]),
    )
  }

  /** Everything until now is of the day that is open, which is closed. @returns that day */
  async closeDay(): Promise<string> {
    return this.#desk.upkeep(async (tx) => {
      await lockDays(tx)
      const known = await readOpenDay(tx)
      const open = known ?? FIRST_DAY
      if (known === undefined) await openDay(tx, open.day, open.after)
      const row = await tx.row<{ number: number }>(
        { name: 'test_last_event', text: `SELECT nextval('event_number')::float8 AS number` },
        [],
      )
      const until = Number(row?.number)
      await cutDay(tx, open.day, until, tx.nowMs)
      await openDay(tx, addDays(open.day, 1), until)
      await addUpDays(tx, until, () => false)
      const outcome = await closeDay(tx, open.day, 'test')
      if (outcome !== 'closed') throw new Error(`the day was not closed: ${String(outcome)}`)
      return open.day
    })
  }

  /** Credits less debits of all accounts of the outlet, piasters. */
  async balance({ id }: Outlet): Promise<number> {
    const [row] = await this.#running.sql<{ balance: string }>(
      `SELECT coalesce(sum(CASE WHEN credit_code BETWEEN 2200 AND 2299 AND credit_owner = $1 THEN amount ELSE 0 END)
         - sum(CASE WHEN debit_code BETWEEN 2200 AND 2299 AND debit_owner = $1 THEN amount ELSE 0 END), 0) AS balance FROM book_transfer`,
      [id],
    )
    return Number(row?.balance)
  }
}
