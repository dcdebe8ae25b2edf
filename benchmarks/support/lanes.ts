/**
 * Deals the demo programme's terminals out to connections: one of each class that the mix needs, shared where there are
 * too few. Those where nothing has been announced yet are left out.
 */
import { demoTerminals, GOVERNORATE_WITHOUT_SERVICES } from '../../src/programme/demo.ts'
import type { Journal, Lane } from './journal.ts'

export interface ConnectionLanes {
  /** Of each class: for messages that are made as they are sent. */
  readonly composed: Lane[]
  /** The same terminals: for messages that were made before. Empty where there are none. */
  readonly prepared: Lane[]
}

export function openLanes(
  journal: Journal,
  classes: ReadonlySet<string>,
  connections: number,
  withPrepared: boolean,
): ConnectionLanes[] {
  const active = demoTerminals().filter(
    ({ state, governorate }) => state === 'ACTIVE' && governorate !== GOVERNORATE_WITHOUT_SERVICES,
  )
  const lanes = Array.from({ length: connections }, (): ConnectionLanes => ({ composed: [], prepared: [] }))
  const each = withPrepared ? 2 : 1
  for (const terminalClass of classes) {
    const terminals = active.filter((terminal) => terminal.class === terminalClass)
    for (const [connection, { composed, prepared }] of lanes.entries()) {
      const place = connection % terminals.length
      const terminal = terminals[place]
      if (terminal === undefined) throw new RangeError(`the demo programme has no terminal of class ${terminalClass}`)
      const sharers = Math.ceil((connections - place) / terminals.length) * each
      const position = Math.floor(connection / terminals.length) * each
      composed.push(journal.openLane(terminal, position, sharers))
      if (withPrepared) prepared.push(journal.openLane(terminal, position + 1, sharers))
    }
  }
  return lanes
}
