/** Turns of the PINs of a card. */
import { expect, it } from 'vitest'
import type { Passage } from '../src/passage.ts'
import { PinTurns } from '../src/pinTurns.ts'

function withPin(): Passage {
  const transaction = { cardToken: 'card', credentials: { pin: {} } }
  return { transaction, holdsPin: false, place: 'here' } as unknown as Passage
}

it('one that was answered while it waited has no turn: the next who is still there has it', () => {
  const turns = new PinTurns()
  const [first, late, next] = [withPin(), withPin(), withPin()]
  expect([turns.take(first), turns.take(late), turns.take(next)]).toEqual([true, false, false])
  late.place = 'leaving'
  expect(turns.release(first)).toBe(next)
  expect(turns.release(next)).toBeUndefined()
  expect(turns.take(withPin())).toBe(true)
})
