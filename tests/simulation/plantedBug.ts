/** What a planted bug may wrap or leave out. */
import type { EpochStore } from '../../src/decision/agreedEpoch.ts'
import type { HotState } from '../../src/decision/hotState.ts'
import type { Ledger, LedgerOptions } from '../../src/ledger/ledger.ts'
import type { MessageLink } from '../../src/settings.ts'
import type { Disk } from '../../src/standin/disk.ts'
import type { Journals, JournalsOptions } from '../../src/standin/journals.ts'
import type { DroppedGuards } from './fakeCommitBatch.ts'
import type { DroppedChecks } from './fakeRedis.ts'
import type { LINKS } from './programme.ts'
import type { World } from './world.ts'

export interface PlantedBug {
  readonly name: string
  /** What is wrong with the switch then. */
  readonly what: string
  readonly ledger?: (options: LedgerOptions, hotState: () => HotState | undefined) => Ledger
  readonly sweeperLedger?: (ledger: Ledger) => Ledger
  readonly epochs?: (epochs: EpochStore) => EpochStore
  readonly droppedGuards?: (world: World) => DroppedGuards
  readonly droppedChecks?: DroppedChecks
  readonly disk?: (disk: Disk) => Disk
  readonly journals?: (options: JournalsOptions) => Journals
  readonly linkOf?: (name: keyof typeof LINKS) => MessageLink
}
