/** What became of a transaction, before it is turned into a message. */
import type { Cover } from '../card.ts'

export interface AuthorizationResult {
  /** ISO 8583-1:1987 DE 39. */
  readonly responseCode: string
  /** Why, in the words of `DECLINE_REASONS`; absent for an approval. */
  readonly reason: string | undefined
  /** DE 38; absent for a decline. */
  readonly approvalCode: string | undefined
  /** Minor units that were approved; 0 for a decline. */
  readonly approved: number
  /** Balances of the purse after it, minor units; absent where no purse was concerned. */
  readonly balances: { readonly available: number; readonly ledger: number; readonly currency: string } | undefined
  /** The balances are those of an entitlement: the slip shows them. */
  readonly ofEntitlement: boolean
  /** Piasters that the cash purse paid where that is not the amount (DE 6): the holder's part of a bill, the price of bread. */
  readonly billed: number | undefined
  /** Wrong fingerprints that are left before the card is suspended. */
  readonly triesLeft: number | undefined
  /** Health cover of the card's person. */
  readonly cover: Cover | undefined
  /** DE 55 of the answer: cryptogram and commands for the chip. */
  readonly chipData?: Buffer | undefined
  /** DE 37. */
  readonly rrn: string | undefined
  /** The stored answer of an earlier message with the same key. */
  readonly replayed: boolean
}

/** What is told beside code and balance, where there is nothing of it. */
export const NOTHING_TOLD = { ofEntitlement: false, billed: undefined, triesLeft: undefined, cover: undefined } as const
