/** Seeds that have found something, each with what it was: `npm test` carries them out again. */
export const KEPT_SEEDS: readonly (readonly [seed: number, what: string])[] = []
