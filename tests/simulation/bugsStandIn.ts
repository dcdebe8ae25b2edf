/** Known bugs of stand-in, planted as those of bugs.ts are. */
import type { CommitItem } from '../../src/ledger/commitItem.ts'
import type { CommitOwner } from '../../src/ledger/groupCommit.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import type { Disk, DiskFile } from '../../src/standin/disk.ts'
import type { JournalEntry } from '../../src/standin/journal.ts'
import { readJournal } from '../../src/standin/journalFile.ts'
import { Journals } from '../../src/standin/journals.ts'
import type { DecisionRecord } from '../../src/standin/record.ts'
import type { PlantedBug } from './plantedBug.ts'

export const STAND_IN_BUGS: readonly PlantedBug[] = [
  {
    name: 'told-before-fsync',
    what: 'an answer of stand-in is told when it is written, not when it is synchronised',
    disk: withFiles((file) => ({
      ...file,
      sync: async () => {
        file.sync().catch(() => undefined)
      },
    })),
  },
  {
    name: 'believe-second-fsync',
    what: 'a synchronisation that failed is asked for again, and believed',
    disk: withFiles((file) => ({ ...file, sync: () => file.sync().catch(() => file.sync()) })),
  },
  {
    name: 'drop-torn-file',
    what: 'a journal that ends in the middle of a record is not drained',
    disk: (disk) => ({
      ...disk,
      read: async (path) => {
        const bytes = await disk.read(path)
        return readJournal(bytes).tornBytes > 0 ? Buffer.alloc(0) : bytes
      },
    }),
  },
  {
    name: 'drain-under-new-key',
    what: 'what is drained a second time is posted under another key',
    journals: (options) => new RenamingJournals(options),
  },
  {
    name: 'cap-of-others',
    what: 'each process knows the caps only of what it has given itself',
    droppedChecks: { capOfOthers: true },
  },
  {
    name: 'leave-for-all',
    what: 'the first journal that is drained ends stand-in for those that are not',
    droppedChecks: { otherJournals: true },
  },
  {
    name: 'pin-given-back-untold',
    what: 'the attempt of a wrong PIN is given back before Redis knows that the ledger has counted it',
    droppedChecks: { countedPins: true },
  },
  {
    name: 'post-what-was-reversed',
    what: 'the drain posts by force what was reversed before',
    ledger: (options) => new ForcingLedger(options),
  },
]

function withFiles(wrap: (file: DiskFile) => DiskFile): (disk: Disk) => Disk {
  return (disk) => ({ ...disk, create: async (path) => wrap(await disk.create(path)) })
}

/** The drain looks at what waits twice a round. */
const LOOKS_A_ROUND = 2

class RenamingJournals extends Journals {
  readonly #seen = new WeakMap<JournalEntry, number>();

  override *entries(): Generator<JournalEntry> {
    for (const entry of super.entries()) {
      const seen = (this.#seen.get(entry) ?? 0) + 1
      this.#seen.set(entry, seen)
      const { record } = entry
      if (seen === LOOKS_A_ROUND + 1 && record.type === 'decision') Object.assign(entry, { record: renamed(record) })
      yield entry
    }
  }
}

function renamed(record: DecisionRecord): DecisionRecord {
  return { ...record, transaction: { ...record.transaction, key: `${record.transaction.key}~` } }
}

class ForcingLedger extends Ledger {
  override submit(owner: CommitOwner, item: CommitItem, deadlineMs: number): void {
    const forcing: CommitOwner = {
      committed: (posted, outcome) => {
        const isBefore = outcome.kind === 'duplicate' && outcome.stored.reason === 'reversed_before'
        owner.committed(posted, isBefore ? { ...outcome, stored: { ...outcome.stored, reason: 'void' } } : outcome)
      },
    }
    super.submit(item.stoodInAt === undefined ? owner : forcing, item, deadlineMs)
  }
}
