/**
 * Runs one of the project's scripts: `node src/run.mjs <script.ts> [arguments]`. Arguments that begin with `-` go to Node.js.
 *
 * This file is plain JavaScript that Node.js 20 understands and that needs no dependency, because its work is to get
 * the dependencies and the pinned Node.js 24, which runs TypeScript without a build step.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR = 24
const LOCK_POLL_MS = 200
/** A lock without a living owner's pid in it is being written at this moment, or its owner was killed then. */
const LOCK_WRITE_MS = 2000
const PARENT_POLL_MS = 250

const root = fileURLToPath(new URL('../', import.meta.url))
const modules = `${root}node_modules/`
const lockFile = `${root}package-lock.json`
const installLock = `${root}.sarf/install.lock`

const [script, ...scriptArguments] = process.argv.slice(2)
if (script === undefined) fail('usage: node src/run.mjs <script.ts> [arguments]')
await install()
run(pinnedNode(), script, scriptArguments)

/** Installs what package-lock.json asks for, unless it is there; of two first runs at once, one waits for the other. */
async function install() {
  if (installed()) return
  const started = Date.now()
  while (!takeInstallLock()) {
    if (Date.now() - started > 600_000)
      fail(`another installation has not ended for 10 minutes; remove ${installLock} and try again`)
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS))
    if (installed()) return
  }
  process.once('exit', () => rmSync(installLock, { force: true }))
  if (!installed()) {
    process.stderr.write('sarf: installing dependencies (npm ci), once\n')
    await npmCi()
    if (!existsSync(`${modules}.package-lock.json`)) fail('npm ci left no node_modules; run "npm ci" by hand to see why')
  }
  rmSync(installLock, { force: true })
}

/** npm writes node_modules/.package-lock.json: what is installed, entry by entry as package-lock.json has it. */
function installed() {
  const wanted = packages(lockFile)
  const present = packages(`${modules}.package-lock.json`)
  if (wanted === undefined) fail('package-lock.json is missing or broken; run "git checkout package-lock.json"')
  if (present === undefined) return false
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true
    const found = present[path]
    // Optional packages are for other platforms, unless they are there. Development packages may have been left out on purpose.
    if (found === undefined) return entry.optional === true || (entry.dev === true && process.env.NODE_ENV === 'production')
    return found.version === entry.version && found.integrity === entry.integrity
  })
}

function packages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch {
    return undefined
  }
}

function takeInstallLock() {
  mkdirSync(`${root}.sarf`, { recursive: true })
  try {
    writeFileSync(installLock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') fail(`cannot write ${installLock}: ${error.message}`)
    if (ownerIsGone()) rmSync(installLock, { force: true })
    return false
  }
}

function ownerIsGone() {
  try {
    const owner = Number(readFileSync(installLock, 'utf8'))
    if (owner > 0) return !isAlive(owner)
    return Date.now() - statSync(installLock).mtimeMs > LOCK_WRITE_MS
  } catch {
    return false
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** npm's own output goes to stderr, so that a script's `--json` stays alone on stdout. */
function npmCi() {
  return new Promise((done) => {
    // Started from an npm script, npm tells its children where it is; so the same npm is used where there are several.
    const cli = process.env.npm_execpath
    const [command, first] = cli?.endsWith('npm-cli.js') ? [process.execPath, [cli]] : ['npm', []]
    const environment = { ...process.env }
    // What the calling npm was told (--silent, --json) must not hide this one's errors.
    for (const name of Object.keys(environment)) if (/^npm_config_(loglevel|silent|json)$/i.test(name)) delete environment[name]
    const npm = spawn(command, [...first, 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'], {
      cwd: root,
      env: environment,
      stdio: ['ignore', 2, 2],
      shell: process.platform === 'win32',
    })
    npm.once('error', () => fail('npm is not installed or not on PATH; install Node.js 20 or newer with npm'))
    npm.once('exit', (code, signal) => {
      if (code === 0) done(undefined)
      else if (signal !== null) process.exit(128 + (constants.signals[signal] ?? 0))
      else fail(`npm ci failed (exit code ${code}); see its message above, then run "npm ci" by hand`)
    })
  })
}

function pinnedNode() {
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR) return process.execPath
  // The npm package `node` puts the binary in place with an install script, which newer npm versions can hold back.
  const node = `${modules}node/bin/node${process.platform === 'win32' ? '.exe' : ''}`
  if (existsSync(node)) return node
  return fail(
    `Node.js ${NODE_MAJOR} is missing: npm left out the install script of the package "node"; ` +
      'run "npm rebuild node" (npm 11.11 and newer: "npm approve-scripts node" before it), or use Node.js 24 yourself',
  )
}

function run(node, path, args) {
  const child = spawn(node, [path.startsWith('-') ? path : resolve(root, path), ...args], {
    stdio: 'inherit',
    // What was compiled once is not compiled again, in children neither: half of a short command's time, and much of the tests'.
    env: { NODE_COMPILE_CACHE: `${modules}.cache/node`, ...process.env, SARF_RUNNER_PID: String(process.pid) },
  })
  child.once('error', (error) => fail(`cannot run ${node}: ${error.message}`))
  child.once('exit', (code, signal) => {
    // A shell reports a child that died of a signal as 128 + its number.
    process.exit(signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0))
  })
  passSignalsOn(child)
}

function passSignalsOn(child) {
  const passed = new Set()
  const pass = (signal) => {
    if (passed.has(signal)) return
    passed.add(signal)
    child.kill(signal)
  }
  process.on('SIGTERM', () => pass('SIGTERM'))
  process.on('SIGHUP', () => pass('SIGHUP'))
  // Ctrl-C in a terminal reaches the child by itself, and npm sends its children one more: a second SIGINT would look like
  // a person who lost patience.
  process.on('SIGINT', () => {
    if (!process.stdin.isTTY) pass('SIGINT')
  })
  if (process.env.npm_lifecycle_event === undefined) return
  // npm killed with SIGKILL can pass nothing on.
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) pass('SIGTERM')
  }, PARENT_POLL_MS).unref()
}

function fail(message) {
  process.stderr.write(`sarf: ${message}\n`)
  process.exit(1)
}
