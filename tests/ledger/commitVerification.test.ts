/** What `commit_batch` stores of a holder's verification: transaction counters, each once, and wrong PINs, no more than the tries. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { isFreshAtc } from '../../src/decision/verification.ts'
import type { CommitItem } from '../../src/ledger/commitItem.ts'
import { createLedger, decline, DUPLICATE, purchase, verified, WON, type TestLedger } from '../support/commitItems.ts'

const GATE = 3
const ATC = 12

let ledger: TestLedger
beforeAll(async () => {
  ledger = await createLedger()
})

let cards = 0

async function openCard(): Promise<{ token: string; purseId: number }> {
  const token = `card-${String(++cards)}`
  const purseId = await ledger.openPurse(100_000)
  await ledger.sql('INSERT INTO household (shard, id, governorate) VALUES (0, $1, 3)', [purseId])
  await ledger.sql(
    `INSERT INTO card (shard, token, masked, household_id, state, expiry, role, person_id)
     VALUES (0, $1, '981801******0001', $2, 'ACTIVE', '2912', 'head', $2)`,
    [token, purseId],
  )
  return { token, purseId }
}

interface CardRow extends Record<string, unknown> {
  readonly state: string
  readonly version: number
  readonly pin_tries: number
  readonly atc_max: number
  readonly atc_seen: string
  readonly pin_reference: string | null
}

async function cardRow(token: string): Promise<CardRow> {
  const [row] = await ledger.sql<CardRow>(
    'SELECT state, version::int, pin_tries, atc_max, atc_seen::text, pin_reference FROM card WHERE token = $1',
    [token],
  )
  return row!
}

function withAtc(card: { token: string; purseId: number }, atc: number): CommitItem {
  return purchase(card.purseId, 1, { cardToken: card.token, verification: verified({ atc }) })
}

function wrongPin(card: { token: string; purseId: number }): CommitItem {
  return decline({
    cardToken: card.token,
    reason: 'pin_wrong',
    verification: verified({ pin: 'wrong', raise: [card.purseId] }),
  })
}

describe('a transaction counter', () => {
  it('is good once, whichever key and purse it comes with', async () => {
    const card = await openCard()
    const other = await ledger.openPurse(1000)
    expect(await ledger.commit([withAtc(card, 7)])).toEqual([WON])
    expect(await ledger.commit([withAtc(card, 7)])).toEqual([ATC])
    expect(await ledger.commit([purchase(other, 1, { cardToken: card.token, verification: verified({ atc: 7 }) })])).toEqual([
      ATC,
    ])
    expect(await cardRow(card.token)).toMatchObject({ atc_max: 7, version: 1 })
  })

  it('of a decline is used up too; what is refused uses up none', async () => {
    const card = await openCard()
    expect(await ledger.commit([decline({ cardToken: card.token, verification: verified({ atc: 5 }) })])).toEqual([WON])
    expect(await ledger.commit([withAtc(card, 5)])).toEqual([ATC])
    expect(await ledger.commit([{ ...withAtc(card, 6), movement: { ...withAtc(card, 6).movement!, gate: 99 } }])).toEqual([GATE])
    expect(await ledger.commit([withAtc(card, 6)])).toEqual([WON])
  })

  it('of a key that was there before is not looked at twice: the repeat is a duplicate by its key', async () => {
    const card = await openCard()
    const first = withAtc(card, 9)
    expect(await ledger.commit([first])).toEqual([WON])
    expect(await ledger.commit([{ ...first, verification: null }])).toEqual([DUPLICATE])
  })

  it('may come in any order within 63 and is judged as the policy judges it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 25 }), async (counters) => {
        const card = await openCard()
        const used = new Set<number>()
        let highest = 0
        for (const atc of counters) {
          const row = await cardRow(card.token)
          const expected = !used.has(atc) && atc > highest - 63
          expect(isFreshAtc(atc, { atcMax: row.atc_max, atcSeen: row.atc_seen }, 65_535)).toBe(expected)
          expect(await ledger.commit([withAtc(card, atc)])).toEqual([expected ? WON : ATC])
          if (expected) used.add(atc)
          highest = Math.max(highest, expected ? atc : 0)
        }
      }),
      { numRuns: 15 },
    )
  })
})

describe('a wrong PIN', () => {
  it('is counted with its decline and raises the gates; the last try blocks the PIN; more are looked at again', async () => {
    const card = await openCard()
    const before = await ledger.sql<{ gate: number }>('SELECT gate::int FROM purse WHERE id = $1', [card.purseId])
    for (const [tries, state] of [
      [1, 'ACTIVE'],
      [2, 'ACTIVE'],
      [3, 'PIN_BLOCKED'],
    ] as const) {
      expect(await ledger.commit([wrongPin(card)])).toEqual([WON])
      expect(await cardRow(card.token)).toMatchObject({ pin_tries: tries, state, version: 1 + tries })
    }
    expect(await ledger.commit([wrongPin(card)])).toEqual([GATE])
    const after = await ledger.sql<{ gate: number }>('SELECT gate::int FROM purse WHERE id = $1', [card.purseId])
    expect(after[0]!.gate).toBe(before[0]!.gate + 3)
  })

  it('that is repeated is counted once', async () => {
    const card = await openCard()
    const item = wrongPin(card)
    expect(await ledger.commit([item])).toEqual([WON])
    expect(await ledger.commit([item])).toEqual([DUPLICATE])
    expect(await cardRow(card.token)).toMatchObject({ pin_tries: 1 })
  })
})

describe('a right PIN', () => {
  it('starts the count anew', async () => {
    const card = await openCard()
    await ledger.commit([wrongPin(card)])
    const right = decline({ cardToken: card.token, verification: verified({ pin: 'right' }) })
    expect(await ledger.commit([right])).toEqual([WON])
    expect(await cardRow(card.token)).toMatchObject({ pin_tries: 0, state: 'ACTIVE' })
  })

  it('is not told of once the PIN is blocked, neither with a decline nor with an approval', async () => {
    const card = await openCard()
    for (let tries = 0; tries < 3; tries++) await ledger.commit([wrongPin(card)])
    const checked = verified({ pin: 'checked' })
    expect(await ledger.commit([decline({ cardToken: card.token, verification: checked })])).toEqual([GATE])
    expect(await ledger.commit([purchase(card.purseId, 1, { cardToken: card.token })])).toEqual([GATE])
  })

  it('may come with a new reference value, which takes the place of the old one', async () => {
    const card = await openCard()
    const change = decline({ cardToken: card.token, verification: verified({ pin: 'right', pinReference: '4711' }) })
    expect(await ledger.commit([change])).toEqual([WON])
    expect(await cardRow(card.token)).toMatchObject({ pin_reference: '4711' })
  })
})
