import { afterAll, beforeAll, expect, it } from 'vitest'
import { amount, at, compose, originalOf, startTestSwitch, type TestLink, type TestSwitch } from '../support/switch.ts'
import { expectCleanBooks, purseOf } from './books.ts'

let running: TestSwitch
let links: TestLink[]

beforeAll(async () => {
  running = await startTestSwitch()
  links = await Promise.all(['atm', 'pos', 'gateway', 'pos'].map((name) => running.connect(name)))
})

afterAll(async () => {
  await expectCleanBooks(running)
})

function countCodes(codes: readonly (string | undefined)[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const code of codes) counts[code ?? 'none'] = (counts[code ?? 'none'] ?? 0) + 1
  return counts
}

it('two hundred purchases at once on a purse that covers a hundred: a hundred are approved', async () => {
  const card = await running.openCard({ balance: 100_000 })
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, i) => links[i % links.length]!.ask('0200', { 2: card.pan, 4: amount(1000) })),
  )
  expect(countCodes(answers.map((answer) => answer.text(39)))).toEqual({ '00': 100, '51': 100 })
  expect(await purseOf(running, card)).toEqual({ balance: 0, held: 0 })
  expect(await running.sql('SELECT count(*)::int FROM "authorization" WHERE purse_id = $1 AND kind = 1', [card.purseId])).toEqual(
    [{ count: 100 }],
  )
})

it('money that comes and goes at once is all there in the end', async () => {
  const cards = await Promise.all(Array.from({ length: 5 }, () => running.openCard({ balance: 50_000 })))
  const rounds = cards.flatMap((card) =>
    Array.from({ length: 20 }, async (_, i) => {
      const link = links[i % links.length]!
      const purchase = compose(running.clock, '0200', { 2: card.pan, 4: amount(700) })
      const [bought, , paid] = await Promise.all([
        link.send(purchase),
        link.send({ ...purchase, mti: '0201' }),
        link.ask('0200', { 2: card.pan, 3: '210000', 4: amount(300), ...at('post-office') }),
      ])
      expect([bought.text(39), paid.text(39)]).toEqual(['00', '00'])
      if (i % 2 === 0) return
      const reversal = compose(running.clock, '0400', { 2: card.pan, 4: amount(700), 90: originalOf(purchase) })
      const reversed = await Promise.all([link.send(reversal), link.send({ ...reversal, mti: '0401' })])
      expect(reversed.map((answer) => answer.text(39))).toEqual(['00', '00'])
    }),
  )
  await Promise.all(rounds)
  for (const card of cards) expect(await purseOf(running, card)).toEqual({ balance: 50_000 + 20 * 300 - 10 * 700, held: 0 })
})
