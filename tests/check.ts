/**
 * `npm run check`: types, lint, formatting, direction of imports, dead code. Prints what each said and how long it
 * took; exit code 1 if any of them found something.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))

interface Check {
  readonly name: string
  readonly package: string
  readonly binary: string
  readonly args: readonly string[]
}

/** Longest first, so that two at a time end soonest. */
const CHECKS: readonly Check[] = [
  { name: 'lint', package: 'eslint', binary: 'eslint', args: ['.', '--max-warnings', '0'] },
  { name: 'types', package: 'typescript', binary: 'tsc', args: ['-p', '.'] },
  {
    name: 'imports',
    package: 'dependency-cruiser',
    binary: 'depcruise',
    args: ['--config', '.dependency-cruiser.mjs', 'src', 'tests', 'benchmarks'],
  },
  { name: 'dead code', package: 'knip', binary: 'knip', args: ['--no-progress'] },
  { name: 'formatting', package: 'prettier', binary: 'prettier', args: ['--check', '.'] },
]
const AT_ONCE = 2

const filters = process.argv.slice(2)
const waiting = CHECKS.filter((check) => filters.length === 0 || filters.includes(check.name))
if (waiting.length === 0) {
  process.stderr.write(`sarf: no such check; there are: ${CHECKS.map((check) => check.name).join(', ')}\n`)
  process.exit(1)
}
let failed = 0
await Promise.all(Array.from({ length: AT_ONCE }, takeTurns))
process.stdout.write(failed === 0 ? 'check: all good\n' : `check: ${failed} failed\n`)
process.exit(failed === 0 ? 0 : 1)

async function takeTurns(): Promise<void> {
  for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
    const started = performance.now()
    const { passed, output } = await run(check)
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    process.stdout.write(`${passed ? 'ok    ' : 'FAILED'} ${check.name} (${seconds} s)\n`)
    if (passed) continue
    failed++
    process.stdout.write(`${output.trim()}\n\n`)
  }
}

function run(check: Check): Promise<{ passed: boolean; output: string }> {
  const child = spawn(process.execPath, [binaryOf(check), ...check.args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const collect = (bytes: Buffer): void => {
    output += bytes.toString('utf8')
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      resolve({ passed: code === 0, output })
    })
  })
}

/** The script that a package's command runs, so that it runs under this Node.js, whichever one PATH has. */
function binaryOf(check: Check): string {
  const folder = `${root}node_modules/${check.package}/`
  const { bin } = JSON.parse(readFileSync(`${folder}package.json`, 'utf8')) as { bin: string | Record<string, string> }
  const path = typeof bin === 'string' ? bin : bin[check.binary]
  if (path === undefined) throw new Error(`${check.package} has no command ${check.binary}`)
  return folder + path
}
