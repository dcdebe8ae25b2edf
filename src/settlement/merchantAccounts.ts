/**
 * Where a merchant is paid to. Whoever can change that can take its money: so one person proposes an account and another agrees. The proposal shows the IBAN masked, for many
 * may read it; the whole one waits in the account's version.
 */
import { done, refused, type Actor, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import type { Proposal } from '../ledger/programme/proposals.ts'
import {
  addProposedAccount,
  decideAccount,
  lockPaidMerchant,
  merchantIdOf,
  readBankAccount,
  type BankAccountRow,
} from '../ledger/settlement/bankAccounts.ts'
import { liftHoldsOfReturnedPayouts } from '../ledger/settlement/merchantHolds.ts'
import { awaitApprovals } from '../ledger/settlement/payoutRuns.ts'
import { propose, type ProposalKind } from '../programme/proposals.ts'
import { NO_SUCH_MERCHANT } from '../programme/registry.ts'
import { isBic, maskIban, parseIban } from './bankAccount.ts'

export interface AskedAccount {
  readonly iban: string
  readonly bic: string | null
  readonly holderName: string
}

/** What a proposal of this kind is about. */
interface AccountBody {
  readonly acceptorId: string
  readonly version: number
}

export const BANK_ACCOUNT: ProposalKind = {
  kind: 'bank-account',
  permission: 'merchant-account:approve',
  execute: async (tx, body) => {
    const { acceptorId, version } = body as unknown as AccountBody
    await awaitApprovals(tx)
    const merchantId = await lockPaidMerchant(tx, acceptorId)
    if (merchantId === undefined) return NO_SUCH_MERCHANT
    if (!(await decideAccount(tx, merchantId, version, true)))
      return refused('conflict', 'already-decided', 'This bank account was decided on already.')
    // It was held because the account was wrong.
    const lifted = await liftHoldsOfReturnedPayouts(tx, merchantId, 'bank-account')
    await tx.emit({ kind: 'merchant.bank_account_changed', data: { acceptorId, version, holdsLifted: lifted } })
    return done({ version, holdsLifted: lifted })
  },
  release: async (tx, body) => {
    const { acceptorId, version } = body as unknown as AccountBody
    const merchantId = await lockPaidMerchant(tx, acceptorId)
    if (merchantId !== undefined) await decideAccount(tx, merchantId, version, false)
  },
}

/** @param seen the version in force that the caller has seen, 0 for none; absent: whichever it is */
export async function proposeBankAccount(
  tx: SqlTransaction,
  maker: Actor,
  acceptorId: string,
  asked: AskedAccount,
  seen: number | undefined,
): Promise<Outcome<Proposal>> {
  const merchantId = await lockPaidMerchant(tx, acceptorId)
  if (merchantId === undefined) return NO_SUCH_MERCHANT
  const iban = parseIban(asked.iban)
  if (iban === undefined)
    return refused('invalid', 'no-such-iban', 'It is an IBAN with its check digits; one of Egypt has 29 characters.', '/iban')
  if (asked.bic !== null && !isBic(asked.bic))
    return refused('invalid', 'no-such-bic', 'It is a BIC of 8 or 11 characters (ISO 9362).', '/bic')
  const now = await readBankAccount(tx, merchantId, 'in-force')
  if (seen !== undefined && seen !== (now?.version ?? 0))
    return refused(
      'stale',
      'bank-account-changed',
      `The bank account was changed meanwhile: it is at version ${String(now?.version ?? 0)}. Look again.`,
    )
  const { bic, holderName } = asked
  if (now?.iban === iban && now.bic === bic && now.holderName === holderName)
    return refused('conflict', 'nothing-changes', 'This is the bank account that is in force.')
  if ((await readBankAccount(tx, merchantId, 'proposed')) !== undefined)
    return refused('conflict', 'already-proposed', 'A bank account of this merchant waits for a decision already.')
  const version = await addProposedAccount(tx, merchantId, { iban, bic, holderName, madeBy: maker.name })
  const before = now === undefined ? null : maskIban(now.iban)
  const body = { acceptorId, version, iban: maskIban(iban), bic, holderName, before }
  return propose(tx, BANK_ACCOUNT, maker, { subject: `merchant ${acceptorId}`, body })
}

/** A bank account as callers see it. */
export interface AccountSeen {
  readonly iban: string
  readonly bic: string | null
  readonly holderName: string
  readonly version: number
}

/** @param whole false: the IBAN is masked */
export async function bankAccountOf(
  tx: SqlTransaction,
  acceptorId: string,
  whole: boolean,
): Promise<Outcome<{ readonly inForce: AccountSeen | null; readonly proposed: AccountSeen | null }>> {
  const merchantId = await merchantIdOf(tx, acceptorId)
  if (merchantId === undefined) return NO_SUCH_MERCHANT
  const seen = (account: BankAccountRow | undefined): AccountSeen | null => {
    if (account === undefined) return null
    const { iban, bic, holderName, version } = account
    return { iban: whole ? iban : maskIban(iban), bic, holderName, version }
  }
  return done({
    inForce: seen(await readBankAccount(tx, merchantId, 'in-force')),
    proposed: seen(await readBankAccount(tx, merchantId, 'proposed')),
  })
}
