/** The wish that this process stops: a signal, or the end of the process that runs it. Asking twice changes nothing. */

const RUNNER_POLL_MS = 250

export interface StopRequest {
  /** Settles when somebody asked. */
  readonly asked: Promise<void>
  isAsked(): boolean
  /** @throws Interrupted once somebody asked */
  throwIfAsked(): void
}

/** Unwinds a start that was told to stop on the way. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}

export function listenForStop(): StopRequest {
  let isAsked = false
  const asked = new Promise<void>((resolve) => {
    const ask = (): void => {
      isAsked = true
      resolve()
    }
    // `on`, not `once`: Ctrl-C in a terminal arrives more than once, as npm and the runner pass it on, and must not kill a drain.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, ask)
    watchRunner(ask)
  })
  return {
    asked,
    isAsked: () => isAsked,
    throwIfAsked() {
      if (isAsked) throw new Interrupted('told to stop')
    },
  }
}

/** A runner killed with SIGKILL passes nothing on; what it ran must not live on unseen. */
function watchRunner(ask: () => void): void {
  const runner = Number(process.env['SARF_RUNNER_PID'])
  // Set for a process further up: then our parent is not the runner, and says nothing about it.
  if (!(runner > 0) || process.ppid !== runner) return
  setInterval(() => {
    if (process.ppid !== runner) ask()
  }, RUNNER_POLL_MS).unref()
}
