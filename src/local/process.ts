/** Processes of an earlier start: whether a recorded pid still is what it was, and how it is ended. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 20

/**
 * The command line of a running process, arguments separated by spaces; undefined where there is none. A zombie has
 * none either: in a container whose first process reaps nobody, the pid of a dead process stays taken for ever.
 */
export function commandLine(pid: number): string | undefined {
  if (!isAlive(pid)) return undefined
  if (process.platform === 'linux') {
    try {
      return nonEmpty(readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8').replaceAll('\0', ' '))
    } catch {
      return undefined
    }
  }
  return nonEmpty(spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout)
}

/**
 * Ends a process that is not our child: each signal in turn, the next one when the last has not helped for `patienceMs`.
 *
 * @returns whether it is gone
 */
export async function endProcess(pid: number, signals: readonly NodeJS.Signals[], patienceMs: number): Promise<boolean> {
  for (const signal of signals) {
    signalProcess(pid, signal)
    for (let waited = 0; waited < patienceMs; waited += POLL_MS) {
      if (commandLine(pid) === undefined) return true
      await sleep(POLL_MS)
    }
  }
  return commandLine(pid) === undefined
}

/** Sends a signal; a process that is gone already is as good. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function nonEmpty(text: string): string | undefined {
  const trimmed = text.trim()
  return trimmed === '' ? undefined : trimmed
}
