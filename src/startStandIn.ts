/** Opens the journals of stand-in, and wires their drain and what is told of both. */
import { hostname } from 'node:os'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { HotCards } from './hotCards.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Disk } from './standin/disk.ts'
import { Drain } from './standin/drain.ts'
import { Journals } from './standin/journals.ts'
import type { StandInLine } from './standInLine.ts'

/** Without a directory that survives the process nothing is told that the ledger does not have. */
export async function openJournals({ standIn }: Config, disk: Disk, clock: Clock, log: Logger): Promise<Journals | undefined> {
  const { enabled, directory } = standIn
  if (enabled && directory === undefined)
    log.warn({}, 'stand-in is off: set SARF_STANDIN_DIRECTORY to a folder on a durable volume of this machine')
  if (!enabled || directory === undefined) return undefined
  const journals = new Journals({ ...standIn, disk, directory, node: hostname(), clock, log })
  await journals.open()
  return journals
}

export interface DrainWiring {
  readonly journals: Journals
  readonly standIn: StandInLine
  readonly hotCards: Pick<HotCards, 'post'>
  readonly ledger: Pick<Ledger, 'available'>
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export function drainOf({ standIn: settings }: Config, wiring: DrainWiring): Drain {
  const { journals, standIn, hotCards, ledger, clock, log, metrics } = wiring
  const drain = new Drain({
    ...{ journals, clock, log, everyMs: settings.drainEveryMs, batchMax: settings.drainBatchMax },
    ledgerAvailable: () => ledger.available,
    post: (record) => standIn.posting.post(record),
    stop: (record) => hotCards.post(record),
    hold: (names) => standIn.hold(names),
    leave: (names) => standIn.leave(names),
  })
  standIn.onWritten = () => {
    drain.written()
  }
  watchStandIn(metrics, clock, { journals, standIn, drain })
  return drain
}

function watchStandIn(
  metrics: Metrics,
  clock: Clock,
  { journals, standIn, drain }: { journals: Journals; standIn: StandInLine; drain: Drain },
): void {
  metrics.watch(
    'sarf_standin_active',
    '1 while the shard is in stand-in, as this process last saw',
    () => Number(standIn.isShardIn),
    'max',
  )
  metrics.watch('sarf_standin_undrained', 'Records of stand-in that are not in the ledger yet', () => journals.undrained)
  const age = (): number => {
    const { oldestMs } = journals
    return oldestMs === undefined ? 0 : Math.max(0, (clock.now() - oldestMs) / 1000)
  }
  metrics.watch('sarf_standin_oldest_seconds', 'Age of the oldest of them', age, 'max')
  metrics.watch(
    'sarf_standin_journal_ready',
    '1 while what stand-in decides can be written down',
    () => Number(journals.ready),
    'min',
  )
  metrics.watch('sarf_standin_journal_bytes', 'Size of the journals of stand-in', () => journals.bytes)
  metrics.watch('sarf_standin_journal_full', '1 while the journal takes no more records', () => Number(journals.full), 'max')
  metrics.watch('sarf_standin_journal_failures', 'Times that the journal could not be written', () => journals.failures)
  metrics.watch('sarf_standin_journal_damaged', 'Files of the journal that are damaged', () => journals.damagedFiles)
  metrics.watch('sarf_standin_refused', 'Records of stand-in that the ledger does not take', () => drain.failed)
  metrics.watch('sarf_standin_approvals', 'Approvals told in stand-in since the start', () => standIn.approvals)
  metrics.watch(
    'sarf_standin_excess_piasters',
    'What suspense lent for goods of stand-in that no entitlement covered, since the start',
    () => standIn.posting.excess,
  )
}
