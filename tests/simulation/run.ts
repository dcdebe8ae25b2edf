/**
 * `npm run -s simulate -- [--seed N] [--steps M] [--seeds K] [--bug NAME] [--json]`: carries out the histories of seed N, N + 1 and so on until M steps
 * have been taken or K histories are done. A step is one event: a message, an answer, a call that arrives, a reply, a timer. One that fails is made
 * small and printed, and the exit code is 1; the same seed is the same history. `--bug` plants a known bug (tests/simulation/bugs.ts).
 */
import { parseArgs } from 'node:util'
import { BUGS } from './bugs.ts'
import { carryOut } from './history.ts'
import { planOf, type Plan } from './plan.ts'
import { shrink } from './shrink.ts'

const SHRINK_TRIES_MAX = 400
const SHOWN_EVERY_MS = 5000

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    steps: { type: 'string' },
    seeds: { type: 'string' },
    bug: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const bug = BUGS.find(({ name }) => name === values.bug)
if (values.bug !== undefined && bug === undefined) {
  say(`no bug ${values.bug}; there are: ${BUGS.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}
const first = Number(values.seed)
const histories = Number(values.seeds ?? (values.steps === undefined ? 1 : Infinity))
const stepsMax = Number(values.steps ?? Infinity)
if (![first, histories, stepsMax].every((number) => number >= 0)) {
  say('--seed, --seeds and --steps take whole numbers')
  process.exit(2)
}

const startedMs = performance.now()
let shownMs = startedMs
let steps = 0
let seed = first
for (; seed < first + histories && steps < stepsMax; seed++) {
  const plan = planOf(seed)
  const result = await carryOut(plan, bug)
  steps += result.steps
  if (result.failure !== undefined) {
    await report(plan, result.failure)
    process.exit(1)
  }
  if (values.json || performance.now() - shownMs < SHOWN_EVERY_MS) continue
  shownMs = performance.now()
  say(`  seed ${seed}: ${steps.toLocaleString('en-US')} steps, nothing wrong`)
}
const seconds = (performance.now() - startedMs) / 1000
const done = { ok: true, firstSeed: first, histories: seed - first, steps, seconds: Number(seconds.toFixed(1)) }
if (values.json) say(JSON.stringify(done))
else
  say(
    `simulate: ${done.histories} histories from seed ${first}, ${steps.toLocaleString('en-US')} steps, nothing wrong; ` +
      `${Math.round(steps / seconds).toLocaleString('en-US')} steps a second`,
  )

async function report(plan: Plan, failure: string): Promise<void> {
  if (!values.json) say(`seed ${plan.seed}, after ${steps.toLocaleString('en-US')} steps: ${failure}\nmaking it small...`)
  const small = await shrink(plan, failure, bug, SHRINK_TRIES_MAX)
  const lines: string[] = []
  await carryOut(small.plan, bug, lines)
  if (values.json) {
    say(JSON.stringify({ ok: false, seed: plan.seed, steps, failure, smallest: small.failure, history: lines }))
    return
  }
  const messages = small.plan.events.filter(({ what }) => what === 'message').length
  say(
    `${small.plan.processes} processes, ${messages} messages, ${small.plan.events.length - messages} faults (${small.tried} tried):`,
  )
  for (const line of lines) say(`  ${line}`)
  say(`again: npm run -s simulate -- --seed ${plan.seed}${bug === undefined ? '' : ` --bug ${bug.name}`}`)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
