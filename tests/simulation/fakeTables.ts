/** The tables of the simulated ledger, as far as the simulated part of the switch reads and writes them. Amounts are exact below 2^53. */

export interface PurseRow {
  readonly id: number
  readonly kind: number
  readonly unit: number
  readonly householdId: number
  readonly personId: number | null
  balance: number
  held: number
  version: number
  gate: number
  day: string
  spentAmount: number
  spentCount: number
  withdrawnAmount: number
  withdrawnCount: number
  cycle: string | null
  members: number
  marks: number
  items: number[] | null
}

export interface CardRow {
  readonly token: string
  readonly masked: string
  readonly householdId: number
  readonly role: string
  readonly personId: number | null
  state: string
  expiry: string
  version: number
  fingerprintMismatches: number
  retiredAt: string | null
  readonly psn: string
  pinReference: string | null
  pinTries: number
  atcMax: number
  atcSeen: bigint
  issuerScript: string | null
}

export interface HouseholdRow {
  readonly id: number
  governorate: number
  rationMembers: number
  breadMembers: number
}

export interface PersonRow {
  readonly id: number
  readonly householdId: number
  coverClass: string | null
  coverFrom: string | null
  coverUntil: string | null
}

export interface TerminalRow {
  readonly id: number
  readonly terminalId: string
  readonly class: string
  readonly state: string
  readonly wallet: boolean
  readonly offline: boolean
  readonly merchantId: number
  readonly acceptorId: string
  readonly category: string
  readonly governorate: number
}

/** A decision. Its position in the journal is the order of commits. */
export interface AuthorizationRow {
  readonly key: string
  readonly keyDate: string
  readonly mti: number
  readonly kind: number
  readonly body: string | null
  readonly cardToken: string | null
  readonly terminalId: string | null
  readonly merchantId: number | null
  readonly rrn: string | null
  readonly requested: number
  readonly approved: number
  readonly responseCode: string
  readonly reason: string | null
  readonly approvalCode: string | null
  readonly purseId: number | null
  readonly purseVersion: number | null
  readonly availableAfter: number | null
  readonly heldAfter: number | null
  readonly fromSuspense: number | null
  readonly decidedAt: string
  readonly originalKey: string | null
  readonly originalDate: string | null
  readonly quantity: number | null
  readonly cycle: string | null
  readonly marks: number | null
  readonly items: string | null
  readonly secondPurseId: number | null
  readonly secondVersion: number | null
  readonly secondAvailableAfter: number | null
  /** When stand-in has told it. */
  readonly stoodInAt: string | null
}

export interface TransferRow {
  readonly purseId: number
  readonly purseVersion: number
  readonly debitCode: number
  readonly debitOwner: number
  readonly creditCode: number
  readonly creditOwner: number
  readonly unit: number
  readonly amount: number
  readonly keyDate: string
  readonly ordinal: number
}

export interface HoldRow {
  readonly key: string
  readonly keyDate: string
  readonly purseId: number
  readonly amount: number
  remaining: number
  readonly expiresAt: string
}

export interface EpochRow {
  readonly epoch: number
  readonly runId: string
  readonly replicationId: string
}

/** Of a purchase, a payment and a co-pay: see KIND. */
export const REFUNDS: readonly number[] = [8, 12, 17]

export class FakeTables {
  readonly households = new Map<number, HouseholdRow>()
  readonly persons = new Map<number, PersonRow>()
  readonly purses = new Map<number, PurseRow>()
  readonly cards = new Map<string, CardRow>()
  readonly terminals = new Map<string, TerminalRow>()
  readonly holds = new Map<string, HoldRow>()
  readonly transfers: TransferRow[] = []
  /** Decisions in the order of their commits. */
  readonly journal: AuthorizationRow[] = []
  #epoch: EpochRow | undefined
  /** Epochs with the Redis that each was agreed on for. */
  readonly #agreed = new Set<string>()
  readonly #byKey = new Map<string, AuthorizationRow>()
  readonly #linked = new Map<string, AuthorizationRow[]>()
  readonly #byReference = new Map<string, AuthorizationRow[]>()
  readonly #pursesOf = new Map<number, PurseRow[]>()

  get epoch(): EpochRow | undefined {
    return this.#epoch
  }

  set epoch(row: EpochRow | undefined) {
    this.#epoch = row
    if (row !== undefined) this.#agreed.add(`${row.epoch} ${row.runId}`)
  }

  /** Whether an epoch was ever agreed on for that Redis. */
  hasAgreed(epoch: string | null | undefined, runId: string): boolean {
    return this.#agreed.has(`${epoch ?? ''} ${runId}`)
  }

  addPurse(row: PurseRow): void {
    this.purses.set(row.id, row)
    this.#pursesOf.set(row.householdId, [...(this.#pursesOf.get(row.householdId) ?? []), row])
  }

  pursesOf(household: number): readonly PurseRow[] {
    return this.#pursesOf.get(household) ?? []
  }

  decision(keyDate: string, key: string): AuthorizationRow | undefined {
    return this.#byKey.get(rowName(keyDate, key))
  }

  /** @returns whether it was there not yet */
  addDecision(row: AuthorizationRow): boolean {
    const name = rowName(row.keyDate, row.key)
    if (this.#byKey.has(name)) return false
    this.#byKey.set(name, row)
    this.journal.push(row)
    if (row.originalKey !== null && row.purseId !== null)
      push(this.#linked, linkName(row.purseId, row.originalDate ?? '', row.originalKey), row)
    if (row.rrn !== null && row.purseId !== null) push(this.#byReference, `${row.purseId} ${row.rrn} ${row.approvalCode}`, row)
    return true
  }

  /** What refers to a decision, within its purse. */
  linkedTo(purseId: number | null, keyDate: string, key: string): readonly AuthorizationRow[] {
    return purseId === null ? [] : (this.#linked.get(linkName(purseId, keyDate, key)) ?? [])
  }

  /** What the guard of `commit_batch` counts: what was touched of a decision, and of that which it has refunded. */
  guardedBy(purseId: number | null, keyDate: string, key: string): number {
    const row = this.#byKey.get(rowName(keyDate, key))
    const refunded = row !== undefined && REFUNDS.includes(row.kind) && row.originalKey !== null
    return (
      this.touchedBy(purseId, keyDate, key) + (refunded ? this.touchedBy(purseId, row.originalDate ?? '', row.originalKey) : 0)
    )
  }

  /** What refers to a decision, and reversals of refunds among that. */
  touchedBy(purseId: number | null, keyDate: string, key: string): number {
    const linked = this.linkedTo(purseId, keyDate, key)
    const reversals = (one: AuthorizationRow): number =>
      REFUNDS.includes(one.kind) ? this.linkedTo(one.purseId, one.keyDate, one.key).filter(({ kind }) => kind === 10).length : 0
    return linked.reduce((count, one) => count + reversals(one), linked.length)
  }

  byReference(purseId: number, rrn: string, approvalCode: string): readonly AuthorizationRow[] {
    return this.#byReference.get(`${purseId} ${rrn} ${approvalCode}`) ?? []
  }
}

/** A key's text may occur on two dates. */
export function rowName(keyDate: string, key: string): string {
  return `${keyDate} ${key}`
}

function linkName(purseId: number, keyDate: string, key: string): string {
  return `${purseId} ${keyDate} ${key}`
}

function push<T>(lists: Map<string, T[]>, name: string, one: T): void {
  const list = lists.get(name)
  if (list === undefined) lists.set(name, [one])
  else list.push(one)
}
