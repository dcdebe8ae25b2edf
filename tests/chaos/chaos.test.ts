/**
 * A short chaos run: two switch processes, Redis, Postgres and the links between them, each hit by every kind of fault that is quick, two at a time. What
 * the terminals were told must be what the ledger holds: nothing approved is missing, nothing is double, nothing refused was posted, what
 * was reversed was given back, no reservation stays, Redis holds what Postgres does.
 */
import { expect, test } from 'vitest'
import { runChaos } from './support/chaos.ts'
import { CRIMES } from './support/judge.ts'
import { reportText } from './support/report.ts'

/** Each kind once or twice, by the part that it hits. */
const FAULTS: Readonly<Record<string, readonly string[]>> = {
  Redis: ['kill Redis', 'pause Redis', 'flush Redis', 'Redis from an old file'],
  Postgres: ['kill Postgres', 'kill a Postgres backend', 'pause Postgres', 'full disk'],
  'switch 0': ['kill switch', 'clock an hour ahead'],
  'switch 1': ['kill switch', 'pause switch', 'clock an hour back'],
  'terminals link of switch 0': ['cut terminals link'],
  'terminals link of switch 1': ['reset terminals link', 'half-open terminals link'],
  'Redis link of switch 0': ['half-open Redis link', 'slow Redis link'],
  'Postgres link of switch 0': ['half-open Postgres link'],
  'Postgres link of switch 1': ['cut Postgres link', 'slow Postgres link'],
}
const KINDS = [...new Set(Object.values(FAULTS).flat())]

test('whatever is killed, paused, cut off, filled up or set to another time, journal and ledger agree', { timeout: 180_000 }, async () => {
  const report = await runChaos({
    seed: 8583,
    switches: 2,
    terminals: 40,
    households: 150,
    diskMegabytes: 320,
    pauseMostMs: 2500,
    otherMostMs: 800,
    calmMs: 100,
    companyPercent: 100,
    thinkMs: 200,
    goesOn: (done, _elapsedMs, all) => done < all,
    only: (kind, part) => FAULTS[part]?.includes(kind) === true,
  })
  expect(report.findings, reportText(report)).toEqual([])
  expect(report.crimes).toEqual(Object.fromEntries(CRIMES.map((crime) => [crime, 0])))
  const hit = report.faults.map(({ kind }) => kind)
  expect(KINDS.filter((kind) => !hit.includes(kind) && !report.leftOut.some((why) => why.startsWith(kind)))).toEqual([])
  expect(report.counts.approvals).toBeGreaterThan(500)
})
