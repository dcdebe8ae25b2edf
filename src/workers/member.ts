/**
 * One worker process as its primary sees it:
 *
 *     starting --listening--> listening --leave()--> leaving --> ended
 *         |                       |                               ^
 *         +-----------------------+------ dies or is ended -------+     (or leave(), while it is starting)
 */
import type { Worker } from 'node:cluster'
import type { Address, ToPrimary, ToWorker } from './messages.ts'

export interface MemberOptions {
  readonly slot: number
  readonly worker: Worker
  /** Who does not listen by then is ended. */
  readonly startMs: number
  readonly onMessage: (member: Member, message: ToPrimary) => void
}

/** A worker that ended before it took messages; it has said why itself. */
export class StartFailed extends Error {
  override readonly name = 'StartFailed'
}

export class Member {
  readonly slot: number
  readonly worker: Worker
  /** @throws StartFailed */
  readonly listening: Promise<readonly Address[]>
  /** How it ended, for a log. */
  readonly ended: Promise<string>
  readonly startedMs = performance.now()
  /** It took messages once. */
  hasListened = false
  /** It was asked to leave: its end is no accident. */
  wasAsked = false
  #state: 'starting' | 'listening' | 'leaving' | 'ended' = 'starting'

  constructor({ slot, worker, startMs, onMessage }: MemberOptions) {
    this.slot = slot
    this.worker = worker
    const listening = Promise.withResolvers<readonly Address[]>()
    // Whoever waits for its end alone has no use for it.
    listening.promise.catch(() => undefined)
    this.listening = listening.promise
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.kill()
    }, startMs)
    worker.on('message', (message: ToPrimary) => {
      if (message.kind === 'listening' && this.#state === 'starting') {
        clearTimeout(timer)
        this.#state = 'listening'
        this.hasListened = true
        listening.resolve(message.addresses)
      }
      onMessage(this, message)
    })
    // A message to a process that is gone; its exit says the rest.
    worker.on('error', () => undefined)
    this.ended = new Promise((resolve) => {
      worker.once('exit', (code, signal) => {
        clearTimeout(timer)
        this.#state = 'ended'
        const how = late ? `did not listen within ${String(startMs)} ms` : endText(code, signal)
        const end = (): void => {
          listening.reject(new StartFailed(`worker ${String(slot)} ${how}`))
          resolve(how)
        }
        // What it said last may still be in the channel.
        if (worker.isConnected()) worker.once('disconnect', end)
        else end()
      })
    })
  }

  get isListening(): boolean {
    return this.#state === 'listening'
  }

  get hasEnded(): boolean {
    return this.#state === 'ended'
  }

  send(message: ToWorker): void {
    if (this.worker.isConnected()) this.worker.send(message, () => undefined)
  }

  /** It drains and ends; what is not done after `withinMs` is cut off. Resolves when it has ended. */
  async leave(withinMs: number): Promise<void> {
    if (this.hasEnded) return
    // Who is still being started may not hear messages yet, and a signal it always does. It has nothing to drain.
    const isStarting = this.#state === 'starting'
    this.#state = 'leaving'
    this.wasAsked = true
    if (isStarting) this.worker.process.kill('SIGTERM')
    else this.send({ kind: 'drain' })
    const timer = setTimeout(() => {
      this.kill()
    }, withinMs)
    await this.ended
    clearTimeout(timer)
  }

  kill(): void {
    this.worker.process.kill('SIGKILL')
  }
}

/** @param signal null where it ended by itself, whatever the types say */
function endText(code: number, signal: string | null): string {
  return signal === null ? `ended with code ${String(code)}` : `was ended by ${signal}`
}
