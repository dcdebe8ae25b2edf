/**
 * `npm test`: every test against a Postgres and Redis that this run starts on free ports and throws away. Arguments go
 * to vitest: `npm test -- tests/iso8583`. The last line is `N passed, N failed`.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startPostgres, type Postgres } from '../src/local/postgres.ts'
import { ensureRedis } from '../src/local/redis.ts'
import { StartError } from '../src/local/startError.ts'
import { listenForStop } from '../src/local/stopRequest.ts'
import { summarise, type VitestReport } from './support/summary.ts'
import { THROW_AWAY_SETTINGS } from './support/throwAway.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
/** What the person's own shell has set up for a running switch is none of the tests' business; which Postgres they start is. */
const FOREIGN = /^(DATABASE_URL|REDIS_URL|NODE_ENV|NODE_OPTIONS|SARF_(?!POSTGRES_BIN$).*)$/

const request = listenForStop()
const directory = mkdtempSync(join(tmpdir(), 'sarf-test-'))
let postgres: Postgres | undefined
let summary: { line: string; passed: boolean }
try {
  ensureRedis()
  postgres = await startPostgres({ directory: join(directory, 'postgres'), settings: THROW_AWAY_SETTINGS })
  const report = join(directory, 'report.json')
  const exitCode = await runVitest(postgres.url, report)
  summary = summarise(readReport(report), exitCode)
} catch (error) {
  process.stderr.write(
    `sarf: ${error instanceof StartError ? error.message : String(error instanceof Error ? error.stack : error)}\n`,
  )
  summary = { line: '0 passed, 1 failed', passed: false }
} finally {
  await postgres?.stop()
  rmSync(directory, { recursive: true, force: true })
}
process.stdout.write(`${summary.line}\n`)
process.exit(summary.passed && !request.isAsked() ? 0 : 1)

function runVitest(postgresUrl: string, report: string): Promise<number> {
  const kept = Object.entries(process.env).filter(([name]) => !FOREIGN.test(name))
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const vitest = spawn(
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...reporters, ...process.argv.slice(2)],
    {
      cwd: root,
      env: { ...Object.fromEntries(kept), SARF_TEST_POSTGRES_URL: postgresUrl },
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  )
  void request.asked.then(() => vitest.kill('SIGTERM'))
  return new Promise((resolve, reject) => {
    vitest.once('error', reject)
    vitest.once('exit', (code) => {
      resolve(code ?? 1)
    })
  })
}

function readReport(file: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VitestReport
  } catch {
    return undefined
  }
}
