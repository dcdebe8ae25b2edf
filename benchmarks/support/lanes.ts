/**
 * Deals the demo programme's terminals out to connections: one of each class that the mix needs, shared where there are
 * too few. Those where nothing has been announced yet are left out.
 */
import { demoTerminals, GOVERNORATE_WITHOUT_SERVICES } from '../../src/programme/demo.ts'
import type { Journal, Lane } from './journal.ts'

/** @returns the lanes of each connection */
export function openLanes(journal: Journal, classes: ReadonlySet<string>, connections: number): Lane[][] {
  const active = demoTerminals().filter(
    ({ state, governorate }) => state === 'ACTIVE' && governorate !== GOVERNORATE_WITHOUT_SERVICES,
  )
  const lanes: Lane[][] = Array.from({ length: connections }, () => [])
  for (const terminalClass of classes) {
    const terminals = active.filter((terminal) => terminal.class === terminalClass)
    for (const [connection, ofConnection] of lanes.entries()) {
      const place = connection % terminals.length
      const terminal = terminals[place]
      if (terminal === undefined) throw new RangeError(`the demo programme has no terminal of class ${terminalClass}`)
      const sharers = Math.ceil((connections - place) / terminals.length)
      ofConnection.push(journal.openLane(terminal, Math.floor(connection / terminals.length), sharers))
    }
  }
  return lanes
}
