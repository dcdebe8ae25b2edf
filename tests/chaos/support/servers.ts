/**
 * Postgres and Redis of a chaos run: killed, paused, filled up, flushed, and always started again. Where this may be mounted, Postgres' data is on
 * a small disk of its own (tmpfs), which a file can fill.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask } from '../../../src/local/ports.ts'
import { startPostgres, type Postgres } from '../../../src/local/postgres.ts'
import { signalProcess } from '../../../src/local/process.ts'
import { startRedis, type Redis } from '../../../src/local/redis.ts'

/** Every commit is on disk before it is answered; small, so that the disk can be. */
const POSTGRES_SETTINGS: Readonly<Record<string, string>> = {
  shared_buffers: '64MB',
  min_wal_size: '64MB',
  max_wal_size: '128MB',
  checkpoint_timeout: '60s',
  shared_preload_libraries: '',
}

const RESTART_MS = 300
const REDIS_MS = 10_000

export class PostgresServer {
  readonly #directory: string
  #current: Postgres
  #wanted = true
  #starting: Promise<void> | undefined

  private constructor(directory: string, current: Postgres) {
    this.#directory = directory
    this.#current = current
    this.#watch()
  }

  static async start(directory: string): Promise<PostgresServer> {
    return new PostgresServer(directory, await startPostgres({ directory, settings: POSTGRES_SETTINGS }))
  }

  get url(): string {
    return this.#current.url
  }

  get port(): number {
    return this.#current.port
  }

  /** kill -9 of the postmaster; it stays down for `downMs`. */
  async kill(downMs: number): Promise<void> {
    this.#wanted = false
    this.#current.kill()
    await this.#current.ended
    await sleep(downMs)
    this.#wanted = true
    await this.#restart()
  }

  /** kill -9 of one of its children, after which the postmaster ends all sessions and recovers. */
  killBackend(): void {
    const backend = childrenOf(this.#current.pid).findLast((pid) => commandOf(pid).includes('127.0.0.1'))
    if (backend !== undefined) signalProcess(backend, 'SIGKILL')
  }

  pause(): () => void {
    const { pid: postmaster } = this.#current
    signalProcess(postmaster, 'SIGSTOP')
    // Once it stands still it has no more children.
    const children = childrenOf(postmaster)
    for (const pid of children) signalProcess(pid, 'SIGSTOP')
    const all = [...children, postmaster]
    return () => {
      for (const pid of all) signalProcess(pid, 'SIGCONT')
    }
  }

  /** Resolves when it is up, however often it had to be started. */
  async up(): Promise<void> {
    await this.#starting
  }

  async stop(): Promise<void> {
    this.#wanted = false
    await this.#starting
    // Immediate shutdown: nobody needs what is in it.
    signalProcess(this.#current.pid, 'SIGQUIT')
    await this.#current.ended
  }

  /** A full disk makes it end by itself. */
  #watch(): void {
    void this.#current.ended.then(() => {
      if (this.#wanted) void this.#restart()
    })
  }

  #restart(): Promise<void> {
    this.#starting ??= this.#startAgain().finally(() => {
      this.#starting = undefined
    })
    return this.#starting
  }

  async #startAgain(): Promise<void> {
    const { port } = this.#current
    while (this.#wanted) {
      try {
        this.#current = await startPostgres({ directory: this.#directory, port, settings: POSTGRES_SETTINGS })
        this.#watch()
        return
      } catch {
        await sleep(RESTART_MS)
      }
    }
  }
}

export class RedisServer {
  readonly #directory: string
  #current: Redis

  private constructor(directory: string, current: Redis) {
    this.#directory = directory
    this.#current = current
  }

  static async start(directory: string): Promise<RedisServer> {
    return new RedisServer(directory, await startRedis({ directory }))
  }

  get url(): string {
    return this.#current.url
  }

  get port(): number {
    return this.#current.port
  }

  /** kill -9; it comes back empty after `downMs`, or with what `keepFile` kept. */
  async kill(downMs: number, withOldFile = false): Promise<void> {
    this.#current.kill()
    await this.#current.ended
    await sleep(downMs)
    const file = join(this.#directory, 'dump.rdb')
    rmSync(file, { force: true })
    if (withOldFile && existsSync(this.#oldFile)) copyFileSync(this.#oldFile, file)
    const { port, password } = this.#current
    this.#current = await startRedis({ directory: this.#directory, port, password })
  }

  /** What it holds now can come back later. */
  async keepFile(): Promise<void> {
    await this.#command('SAVE')
    copyFileSync(join(this.#directory, 'dump.rdb'), this.#oldFile)
  }

  async flush(): Promise<void> {
    await this.#command('FLUSHALL')
  }

  pause(): () => void {
    const { pid } = this.#current
    signalProcess(pid, 'SIGSTOP')
    return () => {
      signalProcess(pid, 'SIGCONT')
    }
  }

  async stop(): Promise<void> {
    await this.#current.stop()
  }

  get #oldFile(): string {
    return join(this.#directory, 'old.rdb')
  }

  async #command(command: string): Promise<void> {
    const { port, password } = this.#current
    await ask(port, `AUTH ${password}\r\n${command}\r\n`, (text) => text.split('\r\n').length > 2, REDIS_MS)
  }
}

/** A small disk. */
export class SmallDisk {
  readonly directory: string

  private constructor(directory: string) {
    this.directory = directory
  }

  /** @returns undefined where this process may not mount one */
  static mount(directory: string, megabytes: number): SmallDisk | undefined {
    mkdirSync(directory, { recursive: true })
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0777`, 'sarf-chaos', directory])
    return mounted.status === 0 ? new SmallDisk(directory) : undefined
  }

  /** @returns what frees it again */
  async fill(): Promise<() => void> {
    const file = join(this.directory, 'filler')
    const handle = await open(file, 'w')
    // To the last page, so that not even a small table can grow.
    for (const bytes of [1 << 20, 1 << 12]) {
      const zeros = Buffer.alloc(bytes)
      try {
        for (;;) await handle.appendFile(zeros)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    }
    await handle.close()
    return () => {
      rmSync(file, { force: true })
    }
  }

  unmount(): void {
    spawnSync('umount', ['-l', this.directory])
  }
}

/** Where the system tells; elsewhere a process is paused without its children. */
function childrenOf(parent: number): number[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent)
}

function parentOf(pid: number): number | undefined {
  const text = readProcess(pid, 'stat')
  // The command, in brackets, may hold anything (proc(5)).
  return text === '' ? undefined : Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1])
}

function commandOf(pid: number): string {
  return readProcess(pid, 'cmdline')
}

function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}
