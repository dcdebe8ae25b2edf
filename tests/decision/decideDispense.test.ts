import { describe, expect, it } from 'vitest'
import { decide } from '../../src/decision/decide.ts'
import type { Decision } from '../../src/decision/decision.ts'
import {
  BREAD_ID,
  contextOf,
  parameters,
  POINTS_ID,
  PURSE_ID,
  RATION_ID,
  saying,
  transactionOf,
  transfersOf,
  type Particulars,
  type Situation,
} from './situation.ts'

const bread = parameters.services['bread']!
const atBakery = { terminalClass: 'bakery', category: '5462' }
const atGrocer = { terminalClass: 'grocer', category: '5411' }

function breadDecided(units: number, situation: Situation = {}, particulars: Particulars = {}): Decision {
  const asked = { purse: 'bread', amount: units * 20, dispense: { units }, ...particulars }
  return decide(transactionOf('dispense', asked), contextOf('dispense', { ...atBakery, ...situation }))
}

describe('the order of checks', () => {
  const everythingWrong: Particulars = { amount: 0, currency: '840', dispense: { units: 0, days: 99 } }

  it.each<[string, Particulars, Situation]>([
    ['card_blocked', everythingWrong, { card: { state: 'RETIRED', purses: [] }, terminalClass: 'pos' }],
    ['card_role', everythingWrong, { card: { purses: [] }, terminalClass: 'pos', active: [] }],
    ['service_inactive', everythingWrong, { terminalClass: 'pos', active: [] }],
    ['terminal_class', everythingWrong, { terminalClass: 'pos', category: '5462' }],
    ['merchant_category', everythingWrong, { category: '5411' }],
    ['amount_invalid', everythingWrong, {}],
    ['currency', { ...everythingWrong, amount: 400 }, {}],
    ['price', { amount: 401, dispense: { units: 20, days: 99 } }, {}],
    ['days_ahead', { amount: 400, dispense: { units: 20, days: 99 } }, {}],
    ['month_end', { amount: 400, dispense: { units: 20, days: 2 } }, { day: '2026-11-30' }],
    ['day_allowance', { amount: 420, dispense: { units: 21 } }, { purses: { [BREAD_ID]: { marks: 1 << 21 } } }],
    ['day_drawn', { amount: 400, dispense: { units: 20 } }, { purses: { [BREAD_ID]: { marks: 1 << 21 } } }],
    ['insufficient_funds', { amount: 400, dispense: { units: 20 } }, { purses: { [BREAD_ID]: { available: 19 } } }],
  ])('%s', (reason, particulars, situation) => {
    expect(saying(breadDecided(20, situation, particulars))).toBe(reason)
  })
})

describe('a purse that nobody has opened for the month', () => {
  const november = { ...contextOf('dispense', atBakery).card, cycle: null }

  it('is opened first, with all others of the household that have a cycle', () => {
    const decision = breadDecided(20, { day: '2026-12-01', card: november })
    expect(decision).toEqual({ kind: 'open', purseIds: [RATION_ID, BREAD_ID] })
  })

  it('is not opened for what concerns cash or health', () => {
    for (const kind of ['purchase', 'eligibility', 'copay', 'balance'] as const)
      expect(saying(decide(transactionOf(kind), contextOf(kind, { day: '2026-12-01', card: november })))).not.toBe('open')
  })

  it('of a month that is ahead of this clock has begun: its first day is drawn', () => {
    const { card } = contextOf('dispense', { day: '2026-12-01' })
    const decision = breadDecided(20, { day: '2026-11-30', card })
    expect(decision.kind === 'approve' && decision.posting.movement?.setMarks).toBe(1)
  })
})

describe('units at a price, handed out in part', () => {
  it('come to the price of what is there, for purse, treasury and wallet', () => {
    const services = { ...parameters.services, bread: { ...bread, partial: true } }
    const decision = breadDecided(
      20,
      { parameters: { services }, wallet: true, purses: { [BREAD_ID]: { available: 7 }, [PURSE_ID]: { available: 1000 } } },
      { partialAccepted: true },
    )
    expect(decision).toMatchObject({ approved: 140, partial: true, posting: { quantity: 7, second: { delta: -140 } } })
    expect(transfersOf(decision)).toEqual(['2110/93 -> 9001/0: 7', '1210/0 -> 2210/5: 735', '2000/71 -> 2210/5: 140'])
  })
})

describe('a season', () => {
  const rules = (from: string, until: string): Situation['parameters'] => ({
    services: {
      ...parameters.services,
      ration: { ...parameters.services['ration']!, ownGovernorate: { exceptions: [{ from, until, governorates: [9] }] } },
    },
  })
  const asked = (day: string, from: string, until: string): string =>
    saying(
      decide(
        transactionOf('dispense', {
          purse: 'ration',
          amount: 100,
          dispense: { basket: [{ item: 'TEA', count: 1, amount: 100 }] },
        }),
        contextOf('dispense', { ...atGrocer, day, governorate: 9, parameters: rules(from, until)! }),
      ),
    )

  it('may begin in one year and end in the next', () => {
    expect(asked('2026-12-31', '12-15', '01-15')).toBe('approved')
    expect(asked('2027-01-15', '12-15', '01-15')).toBe('approved')
    expect(asked('2027-01-16', '12-15', '01-15')).toBe('governorate')
    expect(asked('2026-12-14', '12-15', '01-15')).toBe('governorate')
  })

  it('does not matter to a merchant who is everywhere', () => {
    const decision = decide(
      transactionOf('dispense', { purse: 'points', amount: 100 }),
      contextOf('dispense', { ...atGrocer, governorate: 0 }),
    )
    expect(transfersOf(decision)).toEqual([`2120/${String(POINTS_ID)} -> 9001/0: 100`, '1200/0 -> 2200/5: 100'])
  })
})

describe('a fingerprint for goods', () => {
  const services = { ...parameters.services, bread: { ...bread, fingerprintGovernorates: [3] } }

  it('is asked for where the programme says so for the household’s governorate', () => {
    expect(saying(breadDecided(20, { parameters: { services } }))).toBe('no_fingerprint_reader')
    expect(saying(breadDecided(20, { parameters: { services } }, { fingerprint: 'X' }))).toBe('fingerprint_mismatch')
    expect(saying(breadDecided(20, { parameters: { services } }, { fingerprint: 'M' }))).toBe('approved')
    expect(saying(breadDecided(20, { parameters: { services }, card: { governorate: 4 } }))).toBe('approved')
  })
})

describe('a suspension', () => {
  it('stops the whole card, or keeps cash alive where the programme says so', () => {
    const suspended: Situation = { card: { state: 'SUSPENDED_BIOMETRIC' } }
    const kept = { ...suspended, parameters: { fingerprint: { mismatchesMax: 7, suspensionKeepsCash: true } } }
    const bought = (situation: Situation): string => saying(decide(transactionOf('purchase'), contextOf('purchase', situation)))
    expect(bought(suspended)).toBe('card_blocked')
    expect(bought(kept)).toBe('approved')
    expect(saying(breadDecided(20, kept))).toBe('card_blocked')
  })
})
