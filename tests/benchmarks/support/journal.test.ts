import { describe, expect, it } from 'vitest'
import { Check } from '../../../benchmarks/support/check.ts'
import { Journal, type Lane, type SentMessage } from '../../../benchmarks/support/journal.ts'
import type { LedgerApproval } from '../../../src/ledger/verifyApprovals.ts'
import { demoTerminal, demoTerminals } from '../../../src/programme/demo.ts'
import { breadPurseOf, pointsPurseOf, purseIdOfHousehold, rationPurseOf } from '../../../src/programme/seed.ts'

const MESSAGE: SentMessage = { kind: 'purchase', household: 33, amount: 250, loaves: 0, transmission: 1_122_090_507, dueMs: 5 }
const terminal = demoTerminal('pos')

function send(lane: Lane, message: Partial<SentMessage> = {}): number {
  return lane.add({ ...MESSAGE, ...message })
}

function keyOf(lane: Lane, n: number, messageClass = '2'): string {
  const time = String(lane.transmission(n)).padStart(10, '0')
  return `00000818001|${lane.terminal.terminalId}|${time}|${String(lane.stan(n)).padStart(6, '0')}|${messageClass}`
}

function held(lane: Lane, n: number, differs: Partial<LedgerApproval> = {}): LedgerApproval {
  const purseId = purseIdOfHousehold(lane.household(n))
  const amount = lane.amount(n)
  return { key: keyOf(lane, n), responseCode: '00', purseId, approved: amount, transferred: amount, units: 0, ...differs }
}

describe('journal', () => {
  it('finds a message again by its trace number and time, after growing too', () => {
    const lane = new Journal().openLane(terminal, 0, 1)
    for (let i = 0; i < 5000; i++) send(lane, { amount: i + 1 })
    expect(lane.stan(0)).toBe(1)
    const n = lane.find(4321, MESSAGE.transmission)
    expect(n).toBe(4320)
    expect(lane.amount(4320)).toBe(4321)
    expect(lane.find(4321, MESSAGE.transmission + 1)).toBeUndefined()
    expect(lane.find(5001, MESSAGE.transmission)).toBeUndefined()
    expect(lane.find(0, MESSAGE.transmission)).toBeUndefined()
  })

  it('tells two messages of one trace number apart by their time', () => {
    const lane = new Journal().openLane(terminal, 0, 300_000)
    // Trace numbers 1, 300001, 600001, 900001 and then 1 again.
    for (let i = 0; i < 8; i++) send(lane, { transmission: MESSAGE.transmission + Math.floor(i / 4) })
    expect(lane.stan(3)).toBe(900_001)
    expect(lane.stan(4)).toBe(1)
    expect(lane.find(1, MESSAGE.transmission)).toBe(0)
    expect(lane.find(1, MESSAGE.transmission + 1)).toBe(4)
  })

  it('refuses to use a trace number twice within a second', () => {
    const lane = new Journal().openLane(terminal, 0, 500_000)
    send(lane)
    send(lane)
    expect(() => send(lane)).toThrow('trace numbers')
  })

  it('gives connections that share a terminal trace numbers of their own', () => {
    const journal = new Journal()
    const lanes = [0, 1, 2].map((position) => journal.openLane(terminal, position, 3))
    const stans = lanes.flatMap((lane) => [send(lane), send(lane)].map((n) => lane.stan(n)))
    expect(new Set(stans).size).toBe(6)
    const last = lanes[2]!
    expect(journal.findKey(keyOf(last, 1))).toEqual({ lane: last, n: 1 })
  })

  it('knows keys of its own messages only', () => {
    const journal = new Journal()
    const lane = journal.openLane(terminal, 0, 1)
    const n = send(lane)
    expect(journal.findKey(keyOf(lane, n))).toEqual({ lane, n })
    expect(journal.findKey(keyOf(lane, n, '4'))).toBeUndefined()
    expect(journal.findKey(keyOf(lane, n).replace('818001', '818002'))).toBeUndefined()
    expect(journal.findKey(keyOf(lane, n).replace('POS00001', 'POS00002'))).toBeUndefined()
    expect(journal.findKey('release|00000818001')).toBeUndefined()
  })

  it('takes the first answer and no second one', () => {
    const lane = new Journal().openLane(terminal, 0, 1)
    const n = send(lane)
    expect(lane.responseCode(n)).toBeUndefined()
    expect(lane.answer(n, '51')).toBe(true)
    expect(lane.answer(n, '00')).toBe(false)
    expect(lane.responseCode(n)).toBe('51')
  })
})

describe('check against the ledger', () => {
  function approvedJournal(): { journal: Journal; lane: Lane; n: number } {
    const journal = new Journal()
    const lane = journal.openLane(terminal, 0, 1)
    const n = send(lane)
    lane.answer(n, '00')
    return { journal, lane, n }
  }
  const counts = (journal: Journal, approvals: readonly LedgerApproval[]) => {
    const check = new Check(journal)
    for (const approval of approvals) check.inLedger(approval)
    return check.result()
  }
  const nothing = { approvedNotInLedger: 0, inLedgerNotApproved: 0, unanswered: 0 }

  it('finds nothing wrong where the ledger holds what was approved', () => {
    const { journal, lane, n } = approvedJournal()
    expect(counts(journal, [held(lane, n)])).toEqual(nothing)
  })

  it('counts an approval that the ledger does not hold', () => {
    expect(counts(approvedJournal().journal, [])).toEqual({ ...nothing, approvedNotInLedger: 1 })
  })

  it.each([
    ['of another amount', { approved: 249, transferred: 249 }],
    ['without a transfer', { transferred: 0 }],
    ['with a transfer twice', { transferred: 500 }],
    ["on another card's purse", { purseId: purseIdOfHousehold(34) }],
  ])('counts an approval that is held %s', (_, differs) => {
    const { journal, lane, n } = approvedJournal()
    expect(counts(journal, [held(lane, n, differs)])).toEqual({ ...nothing, approvedNotInLedger: 1 })
  })

  it('counts an approval that is held twice', () => {
    const { journal, lane, n } = approvedJournal()
    const forced = held(lane, n, { key: `${keyOf(lane, n)}|F` })
    expect(counts(journal, [held(lane, n), forced])).toEqual({ ...nothing, inLedgerNotApproved: 1 })
  })

  it('counts an approval that was answered as a decline', () => {
    const journal = new Journal()
    const lane = journal.openLane(terminal, 0, 1)
    const n = send(lane)
    lane.answer(n, '91')
    expect(counts(journal, [held(lane, n)])).toEqual({ ...nothing, inLedgerNotApproved: 1 })
  })

  it('counts an approval that nobody asked for', () => {
    const { journal, lane, n } = approvedJournal()
    const stranger = held(lane, n, { key: keyOf(lane, n).replace('000001', '000009') })
    expect(counts(journal, [held(lane, n), stranger])).toEqual({ ...nothing, inLedgerNotApproved: 1 })
  })

  it('tells an approval whose answer never came apart from one that was answered otherwise', () => {
    const journal = new Journal()
    const lane = journal.openLane(terminal, 0, 1)
    const n = send(lane)
    expect(counts(journal, [held(lane, n)])).toEqual({ ...nothing, unanswered: 1 })
  })

  it('takes a partial approval for what it is', () => {
    const journal = new Journal()
    const lane = journal.openLane(terminal, 0, 1)
    const n = send(lane)
    lane.answer(n, '10')
    expect(counts(journal, [held(lane, n, { responseCode: '10', approved: 100, transferred: 100 })])).toEqual(nothing)
  })

  describe('of entitlements', () => {
    const bakery = (wallet: boolean) => demoTerminals().find((one) => one.class === 'bakery' && one.wallet === wallet)!
    /** Seven loaves for 1.40, which cost 8.75. */
    const BREAD = { kind: 'bread', amount: 140, loaves: 7 } as const
    const breadHeld = (lane: Lane, n: number): LedgerApproval =>
      held(lane, n, { purseId: breadPurseOf(33), transferred: 735, units: 7 })

    function approved(message: Partial<SentMessage>, at = terminal): { journal: Journal; lane: Lane; n: number } {
      const journal = new Journal()
      const lane = journal.openLane(at, 0, 1)
      const n = send(lane, message)
      lane.answer(n, '00')
      return { journal, lane, n }
    }

    it('bread gives loaves of the bread purse, and the treasury pays what they cost above their price', () => {
      const { journal, lane, n } = approved(BREAD, bakery(false))
      expect(counts(journal, [breadHeld(lane, n)])).toEqual(nothing)
    })

    it('where a wallet pays, the price is transferred too', () => {
      const { journal, lane, n } = approved(BREAD, bakery(true))
      expect(counts(journal, [breadHeld(lane, n)])).toEqual({ ...nothing, approvedNotInLedger: 1 })
      expect(counts(journal, [{ ...breadHeld(lane, n), transferred: 875 }])).toEqual(nothing)
    })

    it.each([
      ['too many loaves', { units: 8 }],
      ['no money', { transferred: 0 }],
      ['the cash purse', { purseId: purseIdOfHousehold(33) }],
    ])('bread that the ledger holds with %s is not what was approved', (_, differs) => {
      const { journal, lane, n } = approved(BREAD, bakery(false))
      expect(counts(journal, [{ ...breadHeld(lane, n), ...differs }])).toEqual({ ...nothing, approvedNotInLedger: 1 })
    })

    it.each([
      ['ration', rationPurseOf],
      ['points', pointsPurseOf],
      ['reversal of ration', rationPurseOf],
    ] as const)('%s moves as much of its purse as the treasury pays or gets back', (kind, purseOf) => {
      const { journal, lane, n } = approved({ kind })
      const messageClass = kind.startsWith('reversal') ? '4' : '2'
      const right = held(lane, n, { key: keyOf(lane, n, messageClass), purseId: purseOf(33), units: 250 })
      expect(counts(journal, [{ ...right, units: 0 }])).toEqual({ ...nothing, approvedNotInLedger: 1 })
      expect(counts(journal, [right])).toEqual(nothing)
    })
  })
})
