/** What the parts of a switch have to say of themselves, as measurements: queues, breakers, how far followers of events are behind. */
import type { Authorizer } from './authorize.ts'
import { BREAKER_STATES, type BreakerState } from './breaker.ts'
import type { CardFollower } from './cardFollower.ts'
import type { Config } from './config.ts'
import type { HotState } from './decision/hotState.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { Metrics } from './metrics.ts'
import type { EventHub } from './programme/eventHub.ts'

export function watchQueues(metrics: Metrics, authorizer: Authorizer, ledger: Ledger, hotState: HotState): void {
  metrics.watch('sarf_under_way', 'Transactions that have not been answered yet', () => authorizer.underWay)
  metrics.watch('sarf_crowded', '1 while all messages take too long, and others are answered 91 at once', () =>
    Number(authorizer.isCrowded),
  )
  metrics.watch('sarf_ledger_queue', 'Items submitted to the ledger and not yet told their outcome', () => ledger.queued)
  metrics.watch('sarf_ledger_up', '1 while the ledger can commit', () => Number(ledger.available), 'min')
  metrics.watch('sarf_redis_up', '1 while Redis is connected and its epoch agreed', () => Number(hotState.up), 'min')
  metrics.watch('sarf_redis_epoch', 'Epoch of the hot state; 0 while it is down', () => hotState.epoch ?? 0, 'min')
}

export function watchBreakers(metrics: Metrics, states: () => Readonly<Record<string, BreakerState>>): void {
  const help = 'Whether a dependency is asked: 0 closed, it is; 1 half-open, it is tried or has stalled; 2 open, it is not'
  metrics.watchEach('sarf_breaker_state', help, 'dependency', () =>
    Object.fromEntries(Object.entries(states()).map(([name, state]) => [name, BREAKER_STATES.indexOf(state)])),
  )
}

/** How near the queues are to what they hold; past it the answer is 91 at once. */
export function watchRoom(metrics: Metrics, authorizer: Authorizer, ledger: Ledger, config: Config): void {
  const { queueMax } = config.authorization
  metrics.watch(
    'sarf_queue_share',
    'Transactions under way, of the most that may be',
    () => authorizer.underWay / queueMax,
    'max',
  )
  metrics.watch('sarf_ledger_wait_seconds', 'Wait of what is sent to the ledger next', () => ledger.waitMs / 1000, 'max')
}

export function watchEvents(metrics: Metrics, events: EventHub, follower: CardFollower): void {
  metrics.watch(
    'sarf_event_lag_seconds',
    'For how long events have waited for a SQL transaction before them',
    () => events.lagSeconds,
    'max',
  )
  metrics.watch(
    'sarf_card_follower_lag_seconds',
    'Time since Redis had followed all changes of cards',
    () => follower.lagSeconds,
    'max',
  )
}
