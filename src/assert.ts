/** Assertions stay on in production. They are for our mistakes, never for input. */

/** A fault of ours: the switch reached a state that its authors believed impossible. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation'
}

export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new InvariantViolation(what)
}

/** Ends every `switch` over a union: a case that was forgotten is a compile error. */
export function assertNever(value: never): never {
  throw new InvariantViolation(`unexpected value ${JSON.stringify(value)}`)
}
