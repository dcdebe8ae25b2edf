/** What became of a transaction, before it is turned into a message. */
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
  readonly balances: { readonly available: number; readonly ledger: number } | undefined
  /** DE 37. */
  readonly rrn: string | undefined
  /** The stored answer of an earlier message with the same key. */
  readonly replayed: boolean
}
