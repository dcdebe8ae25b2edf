/** Names of what stand-in keeps in Redis beside its caps (standInState.ts), all void in another epoch. */

/** Exists, with the epoch as its value, while the shard is in stand-in. */
export const STAND_IN_FLAG = 'standin'
export const STAND_IN_KEYS = {
  journals: 'standin:journals',
  answers: 'standin:answers',
  stopped: 'standin:stopped',
  counters: 'standin:counters',
  pins: 'standin:pins',
} as const
