/** A switch process that is kept up, as a supervisor would: what ends by itself is started again, and counted. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cleanEnvironment } from '../../../benchmarks/support/privateServers.ts'
import { LISTENING, type StepClock } from './switchEntry.ts'

export interface SwitchOptions {
  /** Its working directory, where its log and whatever it keeps on disk is; another one's is another. */
  readonly directory: string
  readonly port: number
  readonly environment: Readonly<Record<string, string>>
}

const RESTART_MS = 300

export class SwitchProcess {
  /** When it ended although it had been listening and nobody had ended it. */
  readonly crashesMs: number[] = []
  readonly #options: SwitchOptions
  #child: ChildProcess | undefined
  #listens = false
  #wanted = false
  #listening = Promise.withResolvers<undefined>()

  constructor(options: SwitchOptions) {
    this.#options = options
  }

  /** Resolves when it listens, which may take until its servers are there. */
  async start(): Promise<void> {
    this.#wanted = true
    this.#spawn()
    await this.#listening.promise
  }

  /** kill -9. It stays down until `start`. */
  async kill(): Promise<void> {
    this.#wanted = false
    const child = this.#child
    if (child === undefined || !isAlive(child)) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** @returns what lets it go on */
  pause(): () => void {
    const child = this.#child
    child?.kill('SIGSTOP')
    return () => child?.kill('SIGCONT')
  }

  stepClock(offsetMs: number): void {
    const step: StepClock = { offsetMs }
    if (this.#child?.connected === true) this.#child.send(step)
  }

  #spawn(): void {
    const { directory, port, environment } = this.#options
    const log = openSync(join(directory, 'switch.log'), 'a')
    const child = spawn(process.execPath, [fileURLToPath(new URL('switchEntry.ts', import.meta.url))], {
      cwd: directory,
      env: cleanEnvironment({
        ...environment,
        SARF_PORT_ATM: String(port),
        SARF_PORT_POS: '0',
        SARF_PORT_GATEWAY: '0',
        SARF_PORT_SECURE: '0',
        SARF_PORT_HTTP: '0',
      }),
      stdio: ['ignore', log, log, 'ipc'],
    })
    closeSync(log)
    this.#child = child
    this.#listens = false
    child.on('message', (message) => {
      if (message !== LISTENING) return
      this.#listens = true
      this.#listening.resolve(undefined)
    })
    child.once('exit', () => {
      if (this.#child !== child) return
      if (this.#listens) this.#listening = Promise.withResolvers()
      if (!this.#wanted) return
      if (this.#listens) this.crashesMs.push(Date.now())
      // Without its servers a switch does not start: it is tried until it does.
      this.#listens = false
      setTimeout(() => {
        if (this.#wanted && this.#child === child) this.#spawn()
      }, RESTART_MS)
    })
  }
}

function isAlive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}
