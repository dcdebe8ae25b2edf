/** Makes a history that fails small: leaves out what the failure does not need, by delta debugging (Zeller and Hildebrandt, 2002) over its events. */
import type { PlantedBug } from './plantedBug.ts'
import { carryOut } from './history.ts'
import type { Plan, PlannedEvent } from './plan.ts'

export interface Shrunk {
  readonly plan: Plan
  readonly failure: string
  /** How many histories it took. */
  readonly tried: number
}

/** What fails in another way is another failure: numbers may differ, the words may not. */
function kindOf(failure: string): string {
  return failure.replace(/[\d.]+/g, '').slice(0, 60)
}

/** @param triesMax histories that may be carried out for it */
export async function shrink(failing: Plan, failure: string, bug: PlantedBug | undefined, triesMax: number): Promise<Shrunk> {
  let best = { plan: failing, failure }
  let tried = 0
  const attempt = async (plan: Plan): Promise<boolean> => {
    tried++
    const result = await carryOut(plan, bug)
    if (result.failure === undefined || kindOf(result.failure) !== kindOf(failure)) return false
    best = { plan, failure: result.failure }
    return true
  }
  const first = await carryOut(failing, bug)
  await attempt({ ...failing, events: failing.events.filter(({ atMs }) => atMs <= first.failedAtMs) })
  for (let parts = 2; tried < triesMax;) {
    const { events } = best.plan
    const size = Math.ceil(events.length / parts)
    let smaller = false
    for (let at = 0; at < events.length && tried < triesMax; at += size) {
      const rest = [...events.slice(0, at), ...events.slice(at + size)]
      if (await attempt({ ...best.plan, events: whole(rest) })) {
        smaller = true
        break
      }
    }
    if (smaller) parts = Math.max(2, parts - 1)
    else if (size <= 1) break
    else parts = Math.min(events.length, parts * 2)
  }
  for (const simpler of simplerPlans(best.plan)) if (tried < triesMax) await attempt(simpler(best.plan))
  return { ...best, tried }
}

/** What follows a message that is not there any more goes with it. */
function whole(events: readonly PlannedEvent[]): readonly PlannedEvent[] {
  const ids = new Set(events.map((event) => (event.what === 'message' ? event.id : undefined)))
  const kept = events.filter((event) => event.what !== 'message' || event.original === undefined || ids.has(event.original))
  return kept.length === events.length ? kept : whole(kept)
}

function simplerPlans(plan: Plan): ((plan: Plan) => Plan)[] {
  const last = Math.max(...plan.events.map(({ atMs }) => atMs))
  return [(known) => ({ ...known, healMs: Math.min(known.healMs, last + 1000) }), (known) => ({ ...known, processes: 2 })]
}
