/** Compares what the generator was answered with what the ledger holds. */
import { readApprovals, type LedgerApproval } from '../../src/ledger/verifyApprovals.ts'
import { breadPurseOf, pointsPurseOf, purseIdOfHousehold, rationPurseOf } from '../../src/programme/seed.ts'
import type { Journal, Lane } from './journal.ts'
import { isApproval } from './measurement.ts'
import { KIND_TRAITS } from './messageKinds.ts'
import { programmeRules } from './programmeRules.ts'

export interface Verification {
  /** Approvals the client saw that the ledger does not hold, or not with this purse, this amount and its transfers. */
  readonly approvedNotInLedger: number
  /** Approvals in the ledger that the client saw otherwise answered, or never asked for, or that are there twice. */
  readonly inLedgerNotApproved: number
  /** Approvals in the ledger whose answer never came: the client counts them as errors, a terminal would reverse them. */
  readonly unanswered: number
}

/** @param startedMs when the first message was made */
export async function verify(databaseUrl: string, journal: Journal, startedMs: number): Promise<Verification> {
  const check = new Check(journal)
  const started = new Date(startedMs).toISOString()
  await readApprovals(databaseUrl, {
    terminalIds: journal.terminalIds,
    from: { keyDate: started.slice(0, 10), time: started.replace(/\D/g, '').slice(4, 14) },
    onApproval: (approval) => check.inLedger(approval),
  })
  return check.result()
}

/** The comparison itself: fed with the ledger's approvals, one at a time. */
export class Check {
  readonly #journal: Journal
  #inLedgerNotApproved = 0
  #unanswered = 0

  constructor(journal: Journal) {
    this.#journal = journal
  }

  inLedger(approval: LedgerApproval): void {
    // An advice that was posted by force has a key of its own (src/passage.ts).
    const sent = this.#journal.findKey(approval.key.endsWith('|F') ? approval.key.slice(0, -2) : approval.key)
    if (sent === undefined) {
      this.#inLedgerNotApproved++
      return
    }
    const { lane, n } = sent
    const answered = lane.responseCode(n)
    if (answered === undefined) {
      this.#unanswered++
    } else if (answered !== approval.responseCode || lane.wasFound(n)) {
      this.#inLedgerNotApproved++
    } else if (isPostedAsSent(approval, lane, n)) {
      lane.markFound(n)
    }
  }

  result(): Verification {
    let approvedNotInLedger = 0
    for (const lane of this.#journal.lanes()) {
      for (let n = 0; n < lane.count; n++) {
        const answered = lane.responseCode(n)
        if (answered !== undefined && isApproval(answered) && !lane.wasFound(n)) approvedNotInLedger++
      }
    }
    return { approvedNotInLedger, inLedgerNotApproved: this.#inLedgerNotApproved, unanswered: this.#unanswered }
  }
}

/** Code 10 approves a part of the amount; all others the whole of it. What was approved was transferred, no more and no less. */
function isPostedAsSent(approval: LedgerApproval, lane: Lane, n: number): boolean {
  const asked = lane.amount(n)
  const amountFits = approval.responseCode === '10' ? approval.approved <= asked : approval.approved === asked
  const { money, units } = transfersOf(approval.approved, lane, n)
  return amountFits && approval.transferred === money && approval.units === units && approval.purseId === purseOf(lane, n)
}

/** What an approval posts: piasters, and units of the purse where those are not piasters. */
function transfersOf(approved: number, lane: Lane, n: number): { readonly money: number; readonly units: number } {
  switch (KIND_TRAITS[lane.kind(n)].purse) {
    case 'cash':
      return { money: approved, units: 0 }
    // The treasury pays the grocer what the household's purse gives.
    case 'ration':
    case 'points':
      return { money: approved, units: approved }
    // It adds to the price what a loaf costs above it; a wallet pays the price too, where it is not paid in coins.
    case 'bread': {
      const { loafCost, loafPrice } = programmeRules()
      const each = lane.terminal.wallet ? loafCost : loafCost - loafPrice
      return { money: lane.loaves(n) * each, units: lane.loaves(n) }
    }
  }
}

function purseOf(lane: Lane, n: number): number {
  return PURSE_OF_HOUSEHOLD[KIND_TRAITS[lane.kind(n)].purse](lane.household(n))
}

const PURSE_OF_HOUSEHOLD = {
  cash: purseIdOfHousehold,
  ration: rationPurseOf,
  bread: breadPurseOf,
  points: pointsPurseOf,
} as const
