/**
 * A run pays merchants what they are owed for the business days that are closed. One person prepares it: the positions it takes up are in no other run. Another approves it: what the
 * bank gets is fixed, so that a file which may not have arrived is simply sent again, and it is posted, in pieces. Refused or withdrawn, its positions are free.
 */
import { cairoDay } from '../clock.ts'
import { ConfigError, type Config } from '../config.ts'
import { done, refused, type Actor, type Desk, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import {
  addPayoutRun,
  approveRun,
  cancelPayoutRun,
  closedUntil,
  lockApprovals,
  lockPayoutRun,
  nameProposal,
  postNextPayouts,
  readOpenRun,
  readPayoutRun,
  revisePayouts,
  takeUpPayouts,
  type PayoutRun,
} from '../ledger/settlement/payoutRuns.ts'
import { formatAmount } from '../money.ts'
import { addBusinessDays, addDays } from '../programme/calendar.ts'
import { propose, type ProposalKind } from '../programme/proposals.ts'
import { parametersOn, type Programme } from '../programmeParameters.ts'
import { parseIban } from './bankAccount.ts'

export interface PayoutSettings {
  /** Less than this stays for the next run. */
  readonly minimumPiasters: number
  /** Whose account merchants are paid from. */
  readonly debtor: { readonly name: string; readonly iban: string; readonly bic?: string }
}

export interface PayoutParts {
  readonly payouts: PayoutSettings
  readonly programme: Programme
}

/** @throws ConfigError where no bank would pay from the debtor's account */
export function payoutParts({ settlement: { payouts }, programme }: Pick<Config, 'settlement' | 'programme'>): PayoutParts {
  if (parseIban(payouts.debtor.iban) === undefined)
    throw new ConfigError('settlement.payouts.debtor.iban: its check digits are wrong; take the IBAN from the bank')
  return { payouts, programme }
}

export const NO_SUCH_RUN = refused('not-found', 'no-such-payout-run', 'There is no such payout run.')

/** @param untilDay the last day that is paid; absent: the last one that is closed */
export async function preparePayoutRun(
  tx: SqlTransaction,
  { payouts, programme }: PayoutParts,
  maker: Actor,
  untilDay: string | undefined,
): Promise<Outcome<PayoutRun>> {
  const closed = await closedUntil(tx)
  const until = untilDay ?? closed
  if (closed === undefined || until === undefined)
    return refused('conflict', 'no-day-closed', 'No business day is closed yet: there is nothing to pay.')
  if (until > closed)
    return refused(
      'conflict',
      'day-not-closed',
      `Business days are closed up to ${closed}; later ones cannot be paid yet.`,
      '/until',
    )
  const runId = await addPayoutRun(tx, until, maker.name)
  if (runId === undefined) {
    const other = await readOpenRun(tx)
    const which = other === undefined ? 'Another run' : `Run ${String(other.runId)}, prepared by ${other.preparedBy},`
    return refused(
      'conflict',
      'payout-run-open',
      other?.state === 'posting'
        ? `${which} is being posted; it takes some seconds more.`
        : `${which} waits for a decision; it has to be approved, refused or withdrawn first.`,
    )
  }
  const run = await takeUpPayouts(tx, runId, until, payouts.minimumPiasters)
  if (run.payouts === 0)
    return refused(
      'conflict',
      'nothing-to-pay',
      `Up to ${until} nobody is to be paid: of ${String(run.leftOut)} merchants with positions all are left to the next run.`,
    )
  const body = { runId, until, payouts: run.payouts, amount: formatAmount(run.amount), leftOut: run.leftOut }
  const proposal = await propose(tx, payoutRunKind({ payouts, programme }), maker, {
    subject: `payout-run ${String(runId)}`,
    body,
  })
  if (!proposal.ok) return proposal
  await nameProposal(tx, runId, proposal.value.id)
  return done({ ...run, proposalId: proposal.value.id })
}

/** The kind of proposal that a run is. */
export function payoutRunKind(parts: PayoutParts): ProposalKind {
  return {
    kind: 'payout-run',
    permission: 'payout:approve',
    execute: (tx, body, checker) => approve(tx, parts, Number(body['runId']), checker),
    afterwards: async (desk, body) => {
      await postRun(desk, Number(body['runId']))
    },
    release: async (tx, body) => {
      const runId = Number(body['runId'])
      const run = await lockPayoutRun(tx, runId)
      if (run?.state !== 'prepared') return
      await cancelPayoutRun(tx, runId)
      await tx.emit({ kind: 'payout_run.cancelled', data: { runId } })
    },
  }
}

async function approve(
  tx: SqlTransaction,
  { payouts, programme }: PayoutParts,
  runId: number,
  checker: Actor,
): Promise<Outcome<Readonly<Record<string, unknown>>>> {
  const run = await lockPayoutRun(tx, runId)
  await lockApprovals(tx)
  if (run === undefined) return NO_SUCH_RUN
  if (run.state !== 'prepared') return refused('conflict', 'already-decided', `The run was ${run.state} already.`)
  const revised = await revisePayouts(tx, runId)
  if (revised.payouts === 0)
    return refused(
      'conflict',
      'nothing-to-pay',
      'All merchants of the run are held, or have another bank account, since it was prepared. Refuse it; another one takes up what is due.',
    )
  const messageId = messageIdOf(runId, tx.nowMs)
  const executionDay = bankDay(cairoDay(tx.nowMs), programme)
  const { name, iban, bic = null } = payouts.debtor
  await approveRun(tx, runId, { messageId, executionDay, debtor: { name, iban, bic } }, checker.name)
  const result = {
    messageId,
    payouts: revised.payouts,
    amount: formatAmount(revised.amount),
    takenOut: run.payouts - revised.payouts,
  }
  await tx.emit({ kind: 'payout_run.approved', data: { runId, ...result } })
  return done(result)
}

/**
 * Posts a run that is approved, each piece in a SQL transaction of its own: events wait for one of them, not for all. It may be stopped and called again, at several processes at once:
 * each takes the next piece, under the lock of the run.
 */
export async function postRun(desk: Desk, runId: number, stopped = (): boolean => false): Promise<void> {
  for (let more = true; more && !stopped();) more = await desk.upkeep((tx) => postNextPayouts(tx, runId))
}

/** GrpHdr/MsgId, at most 35 characters with what makes an EndToEndId of it. The instant is in it, so that a restored database does not use one again. */
function messageIdOf(runId: number, nowMs: number): string {
  const instant = new Date(nowMs).toISOString().slice(0, 19).replaceAll(/\D/g, '')
  return `SARF-${String(runId)}-${instant}`
}

/** The day itself where banks work, else the next on which they do. */
function bankDay(day: string, programme: Programme): string {
  return addBusinessDays(addDays(day, -1), 1, parametersOn(programme, day).cards.holidays)
}

export async function payoutRunOf(tx: SqlTransaction, runId: number): Promise<Outcome<PayoutRun>> {
  const run = await readPayoutRun(tx, runId)
  return run === undefined ? NO_SUCH_RUN : done(run)
}
