/**
 * What was told in stand-in goes into the ledger: a posting that is made in any case, under the key that it was told under, so that a repeat finds the same answer
 * there. Where the ledger has an approval of that message already nothing is posted; where it has refused the key, the goods are gone all the same, and it is posted
 * under a key of its own, as an advice is. What the entitlement does not cover is lent by suspense.
 */
import { assert } from './assert.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { DecisionContext } from './decision/context.ts'
import { decideDrained } from './decision/decide.ts'
import { decline, type Decision } from './decision/decision.ts'
import type { CommitItem, CommitOutcome, StoredAnswer } from './ledger/commitItem.ts'
import type { AuthorizationMetrics } from './metrics.ts'
import { Passage } from './passage.ts'
import { parametersOn } from './programmeParameters.ts'
import { suspense } from './purse/chart.ts'
import { APPROVED, PARTIALLY_APPROVED } from './response/responseCodes.ts'
import type { Posted } from './standin/drain.ts'
import type { DecisionRecord } from './standin/record.ts'
import type { Origin } from './transaction/origin.ts'
import type { Dispense } from './transaction/transaction.ts'
import type { Upkeep } from './upkeep.ts'

export interface StandInPostingParts {
  readonly config: Pick<Config, 'authorization' | 'redis' | 'programme'>
  readonly upkeep: Upkeep
  readonly clock: Clock
  readonly metrics: AuthorizationMetrics
  readonly way: { readonly refresh: (passage: Passage) => void }
}

export class StandInPosting {
  readonly #parts: StandInPostingParts
  #excess = 0

  constructor(parts: StandInPostingParts) {
    this.#parts = parts
  }

  /** Piasters that suspense has lent for what entitlements did not cover, since the start. */
  get excess(): number {
    return this.#excess
  }

  /** Posts what was told. */
  async post(record: DecisionRecord): Promise<Posted> {
    const { clock, config, way } = this.#parts
    const { promise, resolve } = Promise.withResolvers<Posted>()
    const nowMs = clock.now()
    const asked: Dispense = { ...record.transaction, credentials: undefined, profile: undefined }
    const passage = new Passage(asked, DRAINED, nowMs, nowMs + config.authorization.deadlineMs, () => undefined, this.#committed)
    passage.terminal = record.terminal
    passage.drained = { record, settle: resolve }
    way.refresh(passage)
    return await promise
  }

  /** How it is posted: an approval as far as the entitlement goes, a decline as it was told. */
  decide({ record }: NonNullable<Passage['drained']>, context: DecisionContext): Decision {
    if (record.reason !== null) return decline(record.reason)
    const parameters = parametersOn(this.#parts.config.programme, record.transaction.localDay)
    const transaction: Dispense = { ...record.transaction, credentials: undefined, profile: undefined }
    return decideDrained(transaction, record.purseId, { ...context, parameters })
  }

  readonly #committed = (passage: Passage, item: CommitItem, outcome: CommitOutcome): void => {
    const { upkeep, way } = this.#parts
    const { drained } = passage
    assert(drained !== undefined, 'what is drained was told before')
    const { record, settle } = drained
    const done = (posted: Posted): void => {
      const { key } = record.transaction
      if (record.reason === null) upkeep.correct({ key, purseId: record.purseId })
      settle(posted)
    }
    switch (outcome.kind) {
      case 'won':
        this.#excess += excessOf(item)
        upkeep.afterCommit(passage, item, outcome.purse)
        done('posted')
        return
      case 'duplicate':
        if (passage.forced || isSettledBy(outcome.stored, record)) {
          done('skipped')
        } else {
          // The key was refused there, and the goods are gone.
          passage.forced = true
          way.refresh(passage)
        }
        return
      case 'refused':
        way.refresh(passage)
        return
      case 'fault':
        settle('failed')
        return
      case 'unavailable':
      case 'unknown':
        settle(undefined)
    }
  }
}

/** What is posted later comes by no link. */
const DRAINED: Origin = { link: undefined, certificate: undefined, bindTerminals: false, macKey: undefined }

/** Nothing is left to be posted: the key holds an approval of this message, or it was taken back before it came. */
function isSettledBy(stored: StoredAnswer, { reason, transaction }: DecisionRecord): boolean {
  if (reason !== null || stored.reason === 'reversed_before') return true
  const approved = stored.responseCode === APPROVED || stored.responseCode === PARTIALLY_APPROVED
  return approved && stored.body === transaction.body
}

function excessOf({ transfers }: CommitItem): number {
  return transfers.reduce((sum, { debitCode, amount }) => (debitCode === suspense.code ? sum + amount : sum), 0)
}
