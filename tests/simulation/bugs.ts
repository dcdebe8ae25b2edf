/**
 * Known bugs, each planted by wrapping a part or leaving out a check of a fake: nothing of it is in `src/`. The simulation has to find each; what it
 * would not find it could not be trusted about.
 */
import type { HotState } from '../../src/decision/hotState.ts'
import type { OriginalSnapshot } from '../../src/decision/original.ts'
import type { CardAndPurses } from '../../src/ledger/cards.ts'
import type { CommitItem } from '../../src/ledger/commitItem.ts'
import type { CommitOwner } from '../../src/ledger/groupCommit.ts'
import { Ledger, type LedgerOptions } from '../../src/ledger/ledger.ts'
import type { KeyQuestion } from '../../src/ledger/originals.ts'
import type { OpenSession } from '../../src/ledger/sqlClient.ts'
import { STAND_IN_BUGS } from './bugsStandIn.ts'
import type { PlantedBug } from './plantedBug.ts'
import { LINKS } from './programme.ts'
import { readArray } from './sqlArrays.ts'

export const BUGS: readonly PlantedBug[] = [
  {
    name: 'answer-before-commit',
    what: 'an approval is told before it is durable',
    ledger: (options) => new HastyLedger(options),
  },
  {
    name: 'forget-tombstone',
    what: 'the tombstone of a reversal that came first is kept in memory, not in the ledger',
    ledger: (options) => new ForgetfulLedger(options),
  },
  {
    name: 'release-on-unknown',
    what: 'an unknown outcome is taken for no posting: released, and answered 91',
    ledger: (options) => new GuessingLedger(options),
  },
  { name: 'drop-balance-guard', what: 'commit_batch does not look at the balance', droppedGuards: () => ({ balance: true }) },
  { name: 'drop-gate', what: 'commit_batch does not look at the gate', droppedGuards: () => ({ gate: true }) },
  {
    name: 'drop-linked-guard',
    what: 'commit_batch does not look whether the original was touched meanwhile',
    droppedGuards: () => ({ linked: true }),
  },
  {
    name: 'believe-redis',
    what: 'a decline for funds counts what Redis has reserved',
    ledger: (options, hotState) => new BelievingLedger(options, hotState),
  },
  {
    name: 'confirm-out-of-order',
    what: 'Redis takes a confirm that is older than what it knows',
    droppedChecks: { confirmOrder: true },
  },
  {
    name: 'epoch-not-compared',
    what: 'a Redis that comes back is believed, whichever it is',
    epochs: (epochs) => ({
      agree: async (shard, redis) => redis.known ?? (await epochs.agree(shard, redis)),
    }),
  },
  {
    name: 'new-key-on-resend',
    what: 'an item whose outcome is not known is sent again under another key',
    ledger: (options) => new Ledger({ ...options, openSession: renamingSessions(options.openSession) }),
  },
  {
    name: 'repeat-by-new-time',
    what: "a repeat's key is made of its time of transmission, which its terminal has refreshed",
    linkOf: (name) => ({ ...LINKS[name], keyTime: 'transmission' }),
  },
  {
    name: 'pin-counted-late',
    what: 'a wrong PIN is counted some time after it was told',
    droppedGuards: (world) => ({ countLater: (count) => void world.schedule(1500, 'counts late', count) }),
  },
  {
    name: 'sweep-not-found',
    what: 'the sweeper releases what it does not find in the ledger, without a tombstone',
    sweeperLedger: (ledger) => carelessLedger(ledger),
  },
  ...STAND_IN_BUGS,
]

/** A seed whose history shows each of them, and is clean without it. */
export const FOUND_BY: Readonly<Record<string, number>> = {
  'answer-before-commit': 1,
  'forget-tombstone': 1,
  'release-on-unknown': 36,
  'drop-balance-guard': 3,
  'drop-gate': 2,
  'drop-linked-guard': 28,
  'believe-redis': 19,
  'confirm-out-of-order': 1,
  'epoch-not-compared': 3,
  'new-key-on-resend': 8,
  'repeat-by-new-time': 1,
  'pin-counted-late': 8,
  'sweep-not-found': 2251,
  'told-before-fsync': 10,
  'believe-second-fsync': 235,
  'drop-torn-file': 184,
  'drain-under-new-key': 57,
  'cap-of-others': 55,
  'leave-for-all': 65,
  'post-what-was-reversed': 224,
}

class HastyLedger extends Ledger {
  override submit(owner: CommitOwner, item: CommitItem, deadlineMs: number): void {
    if (item.movement === null || item.approved === 0) {
      super.submit(owner, item, deadlineMs)
      return
    }
    super.submit({ committed: () => {} }, item, deadlineMs)
    owner.committed(item, { kind: 'won', purse: undefined })
  }
}

class ForgetfulLedger extends Ledger {
  readonly #remembered = new Map<string, CommitItem>()

  override submit(owner: CommitOwner, item: CommitItem, deadlineMs: number): void {
    if (item.reason !== 'reversed_before') {
      super.submit(owner, item, deadlineMs)
      return
    }
    this.#remembered.set(item.key, item)
    owner.committed(item, { kind: 'won', purse: undefined })
  }

  override async originalsByKey(questions: readonly KeyQuestion[]): Promise<(OriginalSnapshot | undefined)[]> {
    const found = await super.originalsByKey(questions)
    return questions.map(({ key }, index) => {
      const item = this.#remembered.get(key)
      return found[index] ?? (item === undefined ? undefined : tombstoneSeen(item))
    })
  }
}

function tombstoneSeen({ key, keyDate, cardToken, responseCode }: CommitItem): OriginalSnapshot {
  return {
    ...{ key, keyDate, kind: 0, responseCode, cardToken, merchantId: null, terminalId: null, purseId: null, purseKind: null },
    ...{ quantity: null, cycle: null, marks: 0, items: null, secondPurseId: null, approved: 0, approvalCode: null },
    ...{ fromSuspense: 0, day: keyDate, linked: 0, givenBack: 0, givenBackToSuspense: 0, givenBackQuantity: 0 },
    ...{ completed: false, holdRemaining: 0, refunded: null },
  }
}

class GuessingLedger extends Ledger {
  override submit(owner: CommitOwner, item: CommitItem, deadlineMs: number): void {
    const guessing: CommitOwner = {
      committed: (of, outcome) => {
        owner.committed(of, outcome.kind === 'unknown' ? { kind: 'unavailable' } : outcome)
      },
    }
    super.submit(guessing, item, deadlineMs)
  }

  override mayHold(): boolean {
    return false
  }
}

class BelievingLedger extends Ledger {
  readonly #hotState: () => HotState | undefined

  constructor(options: LedgerOptions, hotState: () => HotState | undefined) {
    super(options)
    this.#hotState = hotState
  }

  override async cards(tokens: readonly string[]): Promise<Map<string, CardAndPurses>> {
    const found = await super.cards(tokens)
    for (const [token, { card, purses }] of found) {
      const believed = await Promise.all(
        purses.map(async (purse) => {
          const hot = await this.#hotState()
            ?.purse(purse.purseId)
            .catch(() => undefined)
          return { ...purse, balance: purse.balance - (hot?.reserved ?? 0) }
        }),
      )
      found.set(token, { card, purses: believed })
    }
    return found
  }
}

/** Of each session: keys that were sent and not answered get another name when they are sent again. */
function renamingSessions(open: OpenSession | undefined): OpenSession {
  const unanswered = new Set<string>()
  return async (options) => {
    if (open === undefined) throw new RangeError('there is no session to wrap')
    const client = await open(options)
    return {
      ...client,
      query: async (statement, values) => {
        if (statement.name !== 'commit_batch') return await client.query(statement, values)
        const keys = (readArray(values[2]) ?? []).map((key) => key ?? '')
        const renamed = keys.map((key) => `"${unanswered.has(key) ? `${key}~` : key}"`)
        for (const key of keys) unanswered.add(key)
        const result = await client.query(statement, values.with(2, `{${renamed.join(',')}}`))
        for (const key of keys) unanswered.delete(key)
        return result as never
      },
    }
  }
}

function carelessLedger(ledger: Ledger): Ledger {
  const careless: Partial<Ledger> = {
    expiredHolds: (nowMs, countMax) => ledger.expiredHolds(nowMs, countMax),
    purses: (ids) => ledger.purses(ids),
    submit: (owner, item, deadlineMs) => {
      if (item.reason !== 'void') {
        ledger.submit(owner, item, deadlineMs)
        return
      }
      ledger.answers([item]).then(
        (stored) => {
          const answer = [...stored.values()][0]
          owner.committed(item, answer === undefined ? { kind: 'won', purse: undefined } : { kind: 'duplicate', stored: answer })
        },
        () => owner.committed(item, { kind: 'unavailable' }),
      )
    },
  }
  return Object.defineProperty(careless, 'available', { get: () => ledger.available }) as Ledger
}
