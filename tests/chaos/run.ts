/**
 * `npm run -s chaos -- --minutes N [--seed S] [--switches N] [--only text] [--keep] [--json]`: load against real processes that are killed, paused, cut
 * off, filled up and set to another time, then the comparison of what the terminals were told with what is there. Exit code 0: nothing
 * is wrong; 1: something is, and the report lists it; 2: wrong usage.
 */
import { parseArgs } from 'node:util'
import { runChaos } from './support/chaos.ts'
import { reportText } from './support/report.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    switches: { type: 'string', default: '2' },
    terminals: { type: 'string', default: '64' },
    households: { type: 'string', default: '2000' },
    // Only faults whose kind or part has this in it.
    only: { type: 'string', default: '' },
    // Logs and data stay where something was wrong.
    keep: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const [minutes, seed, switches, terminals, households] = [
  values.minutes,
  values.seed,
  values.switches,
  values.terminals,
  values.households,
].map(Number) as [number, number, number, number, number]
if (![minutes, switches, terminals, households].every((value) => value > 0) || !Number.isInteger(seed)) {
  process.stderr.write('chaos: minutes, switches, terminals and households are numbers above 0, the seed is a whole number\n')
  process.exit(2)
}

const report = await runChaos({
  seed,
  switches,
  terminals,
  households,
  diskMegabytes: Math.round(400 + 30 * minutes),
  pauseMostMs: 8000,
  otherMostMs: 8000,
  calmMs: 1500,
  companyPercent: 25,
  thinkMs: 300,
  goesOn: (_done, elapsedMs) => elapsedMs < minutes * 60_000,
  only: (kind, part) => `${kind} ${part}`.includes(values.only),
  keep: values.keep,
  onStep: (text) => {
    if (!values.json) process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
  },
})
process.stdout.write(values.json ? `${JSON.stringify(report, undefined, 2)}\n` : reportText(report))
process.exit(report.ok ? 0 : 1)
