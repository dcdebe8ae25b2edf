/**
 * One PIN of a card at a time: whoever has the card does not wait for another, and whoever guesses gets no more than the tries. Each process keeps
 * turns of its own; between processes the counters in Redis and the ledger decide.
 */
import type { Passage } from './passage.ts'

export class PinTurns {
  /** Cards of which a PIN is being verified, each with the messages that wait for their turn. */
  readonly #underWay = new Map<string, Passage[] | undefined>()

  /** @returns whether it is its turn; else it waits until `release` names it */
  take(passage: Passage): boolean {
    const { cardToken, credentials } = passage.transaction
    if (credentials?.pin === undefined || passage.holdsPin) return true
    if (this.#underWay.has(cardToken)) {
      const waiting = this.#underWay.get(cardToken)
      if (waiting === undefined) this.#underWay.set(cardToken, [passage])
      else waiting.push(passage)
      return false
    }
    this.#underWay.set(cardToken, undefined)
    passage.holdsPin = true
    return true
  }

  /** @returns whose turn it is now; undefined where nobody waits */
  release(passage: Passage): Passage | undefined {
    if (!passage.holdsPin) return undefined
    passage.holdsPin = false
    const { cardToken } = passage.transaction
    const waiting = this.#underWay.get(cardToken)
    let next = waiting?.shift()
    // Who was answered while it waited has no turn to give on.
    while (next?.place === 'leaving') next = waiting?.shift()
    if (next === undefined) this.#underWay.delete(cardToken)
    else next.holdsPin = true
    return next
  }
}
