/** What is fuzzed: a function of bytes, and what must hold whatever they are. */

export type Verdict = 'accepted' | 'rejected'

export interface Target {
  /** Valid inputs, and near misses where they say more than a mutation would find. */
  readonly seeds: readonly Uint8Array[]
  /** Tokens of the format, spliced into inputs. Those that the code compares with are found by themselves. */
  readonly dictionary: readonly (string | Uint8Array)[]
  /** No input is made longer. */
  readonly bytesMax: number
  /**
   * Whether the code takes the input. Throws where it does not hold to what it promises: an error that is not one of its own, an error that
   * points outside the input, a result that does not survive being written again.
   */
  run(input: Buffer): Verdict | Promise<Verdict>
}

/** A promise that was not kept. */
export class Broken extends Error {
  override readonly name = 'Broken'
}

/** @throws Broken */
export function check(holds: boolean, promise: string, found?: unknown): asserts holds {
  if (!holds) throw new Broken(found === undefined ? promise : `${promise}: ${JSON.stringify(found)}`)
}

/** @throws Broken where the two differ as JSON, which is how plain results are compared here */
export function same(found: unknown, expected: unknown, promise: string): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)]
  if (left !== right) throw new Broken(`${promise}: ${left} is not ${right}`)
}

/** Digits in a row that an error or a log line may not show: a card number has at least 12. */
const DIGITS_SHOWN_MAX = 9

/** @throws Broken where a text that is shown to people could hold a card number */
export function checkNoCardNumber(text: string, what: string): void {
  check(!new RegExp(`\\d{${String(DIGITS_SHOWN_MAX + 1)},}`).test(text), `${what} shows a long number`, text)
}
