/** A merchant is held: its positions go on, and no run pays it until every hold on it is lifted. */
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { lockPaidMerchant } from '../ledger/settlement/bankAccounts.ts'
import { awaitApprovals } from '../ledger/settlement/payoutRuns.ts'
import { addHold, liftHold, readHold, type HoldCause, type MerchantHold } from '../ledger/settlement/merchantHolds.ts'
import { NO_SUCH_MERCHANT } from '../programme/registry.ts'

export interface AskedHold {
  readonly cause: HoldCause
  readonly reason: string
  readonly by: string
}

export async function holdMerchant(
  tx: SqlTransaction,
  acceptorId: string,
  { cause, reason, by }: AskedHold,
): Promise<Outcome<MerchantHold>> {
  await awaitApprovals(tx)
  const merchantId = await lockPaidMerchant(tx, acceptorId)
  if (merchantId === undefined) return NO_SUCH_MERCHANT
  const hold = await addHold(tx, merchantId, { cause, reason, placedBy: by })
  await tx.emit({ kind: 'merchant.held', data: { acceptorId, holdId: hold.holdId, cause } })
  return done(hold)
}

export async function releaseMerchant(
  tx: SqlTransaction,
  acceptorId: string,
  holdId: number,
  { reason, by }: Omit<AskedHold, 'cause'>,
): Promise<Outcome<MerchantHold>> {
  const merchantId = await lockPaidMerchant(tx, acceptorId)
  if (merchantId === undefined) return NO_SUCH_MERCHANT
  const lifted = await liftHold(tx, merchantId, holdId, { by, reason })
  if (lifted === undefined)
    return (await readHold(tx, merchantId, holdId)) === undefined
      ? refused('not-found', 'no-such-hold', 'The merchant has no such hold.')
      : refused('conflict', 'already-lifted', 'The hold was lifted already.')
  await tx.emit({ kind: 'merchant.released', data: { acceptorId, holdId } })
  return done(lifted)
}
