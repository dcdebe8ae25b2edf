/** Whole numbers that are the same again for the same seed, so that a run can be repeated. */
export interface Random {
  /** A number from 0 to `count` - 1. */
  below(count: number): number
}

const TWO_TO_32 = 2 ** 32

/** Marsaglia, "Xorshift RNGs" (2003), the 32-bit generator with the triple 13, 17, 5. Good enough to choose cards; not secret. */
export function randomFrom(seed: number): Random {
  // Neighbouring seeds must not begin alike; a state of 0 would stay 0.
  let state = Math.imul(seed + 1, 0x9e3779b1)
  if (state === 0) state = 1
  return {
    below(count) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return Math.floor(((state >>> 0) / TWO_TO_32) * count)
    },
  }
}
