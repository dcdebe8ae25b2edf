/**
 * Compares what the terminals were told with what the ledger holds. It takes the terminals' word for what should be there, and goes by nothing
 * that the switch says of itself: every purse has to hold what it began with and what its holder was told since.
 */
import { KIND } from '../../../src/transaction/transaction.ts'
import { isApproval, isForLater, purseOf, type Sent } from './journal.ts'
import type { Decision, LedgerView, PurseRow } from './ledgerView.ts'

export const CRIMES = [
  'approvals lost',
  'posted twice',
  'refused and posted',
  'reversed and not given back',
  'told two things',
  'posted and never asked',
  'follow-ups refused',
  'never answered',
  'overdrafts',
  'purses not as the terminals say',
  'holds not as the terminals say',
  'bread days drawn twice',
  'reservations left',
  'audit checks failed',
  'switches that ended by themselves',
  'faults not recovered from',
] as const
export type Crime = (typeof CRIMES)[number]

export interface Finding {
  readonly crime: Crime
  /** Key, purse or check. */
  readonly of: string
  readonly terminalSaw: string
  readonly ledgerHolds: string
  /** When it was sent and answered; undefined where it has no time of its own. */
  readonly fromMs?: number | undefined
  readonly untilMs?: number | undefined
}

export interface Evidence {
  readonly journal: readonly Sent[]
  readonly ledger: LedgerView
  /** Before the first message. */
  readonly opening: ReadonlyMap<number, PurseRow>
}

export function judge({ journal, ledger, opening }: Evidence): Finding[] {
  const books = new Books(ledger)
  const findings: Finding[] = []
  const find = (crime: Crime, sent: Sent): void => {
    findings.push(findingOf(crime, sent, books))
  }
  const expected = new ExpectedPurses(opening)
  const drawn = new Map<string, number>()
  for (const sent of journal) {
    judgeOne(sent, books, find)
    const outcome = outcomeOf(sent, books)
    expected.move(sent, outcome.approved)
    if (sent.kind === 'authorize') {
      const left = ledger.holds.get(sent.key) ?? 0
      if (left !== (outcome.isOpenHold ? outcome.approved : 0)) find('holds not as the terminals say', sent)
      if (outcome.isOpenHold) expected.hold(sent, outcome.approved)
    }
    const decision = books.approvalOf(sent.key)
    if (sent.kind === 'bread' && outcome.approved > 0 && decision !== undefined) {
      const purse = `${purseOf(sent)} ${decision.cycle ?? ''}`
      if (((drawn.get(purse) ?? 0) & decision.marks) !== 0) find('bread days drawn twice', sent)
      drawn.set(purse, (drawn.get(purse) ?? 0) | decision.marks)
    }
  }
  return [...findings, ...neverAsked(journal, books), ...overdrafts(ledger), ...expected.differences(ledger)]
}

function judgeOne(sent: Sent, books: Books, find: (crime: Crime, sent: Sent) => void): void {
  const { kind, told, key, original } = sent
  const approvals = books.approvalsOf(key)
  if (approvals.length > 1) find('posted twice', sent)
  const [approval] = approvals
  if (told === undefined) {
    if (!sent.abandoned && sent.reversedBy?.abandoned !== true && !books.isReversed(sent)) find('never answered', sent)
  } else if (isApproval(told.responseCode)) {
    if (approval === undefined || !isAsTold(sent, approval)) find('approvals lost', sent)
    if (kind === 'reversal' && original !== undefined && books.netOf(original) !== 0) find('reversed and not given back', sent)
  } else {
    if (approval !== undefined) find('refused and posted', sent)
    if (original !== undefined) find('follow-ups refused', sent)
  }
  // What was for later is not an answer where the terminal went on asking.
  const said = new Set(sent.answers.filter(({ responseCode }) => !isForLater(responseCode) || sent.answers[0] === told).map(saidOf))
  if (said.size > 1) find('told two things', sent)
}

function saidOf({ responseCode, amount, approvalCode }: Sent['answers'][number]): string {
  return `${responseCode} ${amount} ${approvalCode ?? ''}`
}

/** What was told of it, and that its posting is for this purse and this amount. A reversal may find nothing to give back. */
function isAsTold(sent: Sent, approval: Decision): boolean {
  if (sent.kind === 'reversal') return true
  const { told } = sent
  return (
    approval.approved === told?.amount &&
    approval.responseCode === told.responseCode &&
    approval.approvalCode === told.approvalCode &&
    approval.purseId === purseOf(sent) &&
    approval.posted
  )
}

interface Outcome {
  /** Piasters that count, as the terminal knows: 0 where it was declined or given back. */
  readonly approved: number
  readonly isOpenHold: boolean
}

const NOTHING: Outcome = { approved: 0, isOpenHold: false }

/** By the terminal's word; only where it broke before it was told, by the ledger's. */
function outcomeOf(sent: Sent, books: Books): Outcome {
  const { told, key, kind } = sent
  if (kind === 'reversal' || books.isReversed(sent)) return NOTHING
  const isApproved = told === undefined ? books.approvalOf(key) !== undefined : isApproval(told.responseCode)
  if (!isApproved) return NOTHING
  const approved = told?.amount ?? books.approvalOf(key)?.approved ?? 0
  return { approved, isOpenHold: kind === 'authorize' && !books.isCompleted(sent) }
}

function neverAsked(journal: readonly Sent[], books: Books): Finding[] {
  const asked = new Set(journal.map(({ key }) => key))
  return books.approvals
    .filter(({ key }) => !asked.has(ofForced(key)))
    .map((decision) => ({
      crime: 'posted and never asked',
      of: decision.key,
      terminalSaw: 'never sent it',
      ledgerHolds: textOf(decision),
    }))
}

function overdrafts({ decisions, purses }: LedgerView): Finding[] {
  const below = (balance: number, held: number): boolean => balance < 0 || held < 0
  return [
    ...decisions
      .filter((decision) => decision.posted && below(decision.availableAfter, decision.heldAfter))
      .map((decision) => ({ of: decision.key, ledgerHolds: `${decision.availableAfter} and ${decision.heldAfter} held after it` })),
    ...[...purses]
      .filter(([, { balance, held }]) => below(balance, held))
      .map(([id, { balance, held }]) => ({ of: `purse ${id}`, ledgerHolds: `${balance} and ${held} held` })),
  ].map((one) => ({ crime: 'overdrafts', terminalSaw: '', ...one }))
}

/** An advice that was posted by force has a key of its own (src/passage.ts). */
function ofForced(key: string): string {
  return key.endsWith('|F') ? key.slice(0, -2) : key
}

/** The ledger's decisions, found by key and by what they follow. */
class Books {
  readonly approvals: readonly Decision[]
  readonly #all = new Map<string, Decision[]>()
  readonly #following = new Map<string, Decision[]>()

  constructor({ decisions }: LedgerView) {
    this.approvals = decisions.filter(({ responseCode, kind }) => isApproval(responseCode) && kind !== KIND.release)
    for (const decision of decisions) push(this.#all, ofForced(decision.key), decision)
    for (const decision of this.approvals) {
      if (decision.originalKey !== undefined) push(this.#following, decision.originalKey, decision)
    }
  }

  decisionsOf(key: string): readonly Decision[] {
    return this.#all.get(key) ?? []
  }

  approvalsOf(key: string): readonly Decision[] {
    return this.decisionsOf(key).filter(({ responseCode }) => isApproval(responseCode))
  }

  approvalOf(key: string): Decision | undefined {
    return this.approvalsOf(key)[0]
  }

  /** What is left of it after all that gave some of it back. */
  netOf({ key }: Sent): number {
    const given = (this.#following.get(key) ?? []).filter(({ kind }) => kind === KIND.reversal || kind === KIND.refund)
    return (this.approvalOf(key)?.approved ?? 0) - given.reduce((sum, { approved, posted }) => sum + (posted ? approved : 0), 0)
  }

  isReversed(sent: Sent): boolean {
    return sent.reversedBy?.told !== undefined || this.#reversedByBroken(sent)
  }

  isCompleted({ key, completedBy }: Sent): boolean {
    if (completedBy === undefined) return false
    if (completedBy.told !== undefined) return isApproval(completedBy.told.responseCode)
    return (this.#following.get(key) ?? []).some(({ kind }) => kind === KIND.completion)
  }

  /** The terminal broke while it reversed: nobody was told, and the ledger may have it or not. */
  #reversedByBroken({ key, reversedBy }: Sent): boolean {
    if (reversedBy === undefined) return false
    return reversedBy.told === undefined && (this.#following.get(key) ?? []).some(({ kind }) => kind === KIND.reversal)
  }
}

function push(into: Map<string, Decision[]>, key: string, decision: Decision): void {
  const known = into.get(key)
  if (known === undefined) into.set(key, [decision])
  else known.push(decision)
}

/** What each purse should hold. */
class ExpectedPurses {
  readonly #balance = new Map<number, number>()
  readonly #held = new Map<number, number>()

  constructor(opening: ReadonlyMap<number, PurseRow>) {
    for (const [id, { balance, held }] of opening) {
      this.#balance.set(id, balance)
      this.#held.set(id, held)
    }
  }

  /** @param approved piasters that count */
  move(sent: Sent, approved: number): void {
    if (approved === 0) return
    const { kind, holder, loaves, terminal, original } = sent
    if (kind === 'deposit' || kind === 'refund') add(this.#balance, purseOf(sent), approved)
    else if (kind === 'complete') {
      // The rest of what was set aside came back.
      add(this.#balance, purseOf(sent), (original?.told?.amount ?? 0) - approved)
    } else if (kind === 'bread') {
      add(this.#balance, holder.purses.bread, -loaves)
      if (terminal.wallet) add(this.#balance, holder.purses.cash, -approved)
    } else add(this.#balance, purseOf(sent), -approved)
  }

  hold(sent: Sent, approved: number): void {
    add(this.#held, purseOf(sent), approved)
  }

  differences({ purses }: LedgerView): Finding[] {
    return [...this.#balance].flatMap(([id, balance]) => {
      const held = this.#held.get(id) ?? 0
      const row = purses.get(id)
      if (row?.balance === balance && row.held === held) return []
      return [
        {
          crime: 'purses not as the terminals say' as const,
          of: `purse ${id}`,
          terminalSaw: `${balance} and ${held} held`,
          ledgerHolds: row === undefined ? 'no such purse' : `${row.balance} and ${row.held} held`,
        },
      ]
    })
  }
}

function add(to: Map<number, number>, purseId: number, amount: number): void {
  to.set(purseId, (to.get(purseId) ?? 0) + amount)
}

function findingOf(crime: Crime, sent: Sent, books: Books): Finding {
  const { key, kind, amount, sendings, answers, told, original, abandoned } = sent
  const saw = answers.map((answer) => `${saidOf(answer).trim()} from switch ${answer.host} at ${timeOf(answer.atMs)}`)
  const went = sendings.map(({ atMs, host }) => `switch ${host} at ${timeOf(atMs)}`).join(', ')
  const ends = `${told === undefined ? (abandoned ? 'broke' : 'gave up') : `took ${told.responseCode}`}`
  const related = original === undefined ? [] : books.decisionsOf(original.key).map((one) => `original ${textOf(one)}`)
  return {
    crime,
    of: key,
    terminalSaw: `${kind} of ${amount}${original === undefined ? '' : ` after ${original.key}`} to ${went}; ${saw.join(', ') || 'no answer'}; ${ends}`,
    ledgerHolds: [...books.decisionsOf(key).map(textOf), ...related].join('; ') || 'nothing',
    fromMs: sendings[0]?.atMs,
    untilMs: Math.max(...sendings.map(({ atMs }) => atMs), ...answers.map(({ atMs }) => atMs)),
  }
}

function textOf({ key, kind, responseCode, approved, purseId, approvalCode, posted }: Decision): string {
  return `${key}: kind ${kind}, ${responseCode}, ${approved}${posted ? '' : ' not posted'} on purse ${purseId ?? 'none'} ${approvalCode ?? ''}`.trim()
}

function timeOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(11, 23)
}
