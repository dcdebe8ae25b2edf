/** Messages and faults of a plan. */
import type { Storm, TrapPoint } from './weather.ts'

export type MessageKind =
  | 'purchase'
  | 'authorization'
  | 'completion'
  | 'withdrawal'
  | 'refund'
  | 'reversal'
  | 'bread'
  | 'breadAdvice'
  | 'ration'
  | 'points'
  | 'deposit'
  | 'credit'
  | 'balance'

export interface PlannedMessage {
  readonly what: 'message'
  readonly id: number
  readonly atMs: number
  readonly kind: MessageKind
  /** Index among the cards of the history. */
  readonly card: number
  readonly terminalId: string
  readonly amount: number
  /** Loaves; days. */
  readonly loaves: number
  readonly days: number
  readonly partialAccepted: boolean
  readonly pin: 'none' | 'right' | 'wrong'
  /** The message that it follows. */
  readonly original: number | undefined
  /** Index of the process it is sent to, and of those that repeats go to. */
  readonly process: number
  readonly repeatsTo: readonly number[]
  readonly patienceMs: number
  /** How often it is repeated before it is reversed. */
  readonly repeatsMax: number
  /** An exact copy comes so much later, to the first of `repeatsTo`. */
  readonly copyAfterMs: number | undefined
  /** The terminal loses all memory of it and never asks again. */
  readonly abandoned: boolean
}

export type PlannedFault = { readonly what: 'fault'; readonly id: number; readonly atMs: number } & (
  | { readonly kind: 'crash' | 'pause' | 'clock'; readonly process: number; readonly forMs: number; readonly byMs: number }
  | {
      readonly kind: 'crashAt'
      readonly process: number
      readonly point: TrapPoint
      readonly lateMs: number
      readonly forMs: number
      /** The whole machine loses its power. */
      readonly power?: boolean
    }
  | { readonly kind: 'cutOff' | 'powerLoss'; readonly process: number; readonly forMs: number }
  | {
      readonly kind: 'sqlStorm' | 'redisStorm' | 'netStorm' | 'diskStorm'
      readonly process: number | undefined
      readonly forMs: number
      readonly storm: Storm
    }
  | { readonly kind: 'postgresDown' | 'postgresStalls' | 'redisDown'; readonly forMs: number }
  | { readonly kind: 'redisFlush' }
  | { readonly kind: 'redisRestart'; readonly ageMs: number | undefined }
  | { readonly kind: 'blockCard' | 'unblockCard'; readonly card: number }
)
