/** CPU time of processes and their children, from Linux's /proc (proc_pid_stat(5)). */
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ: 100 on every Linux that Node.js runs on. */
const TICKS_A_SECOND = 100

/** @returns CPU seconds so far by name, those of living children included; empty on systems without /proc */
export function cpuSeconds(processes: Readonly<Record<string, number | undefined>>): Record<string, number> {
  const stats = processStats()
  if (stats.size === 0) return {}
  return Object.fromEntries(
    Object.entries(processes).map(([name, pid]) => {
      let ticks = 0
      for (const [candidate, stat] of stats) if (candidate === pid || stat.parent === pid) ticks += stat.ticks
      return [name, ticks / TICKS_A_SECOND]
    }),
  )
}

function processStats(): Map<number, { parent: number; ticks: number }> {
  const stats = new Map<number, { parent: number; ticks: number }>()
  if (process.platform !== 'linux') return stats
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const text = readStat(name)
    if (text === undefined) continue
    // The command, in parentheses, may hold anything; what follows it begins with the state, field 3.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    stats.set(Number(name), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) })
  }
  return stats
}

function readStat(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    // It has just ended.
    return undefined
  }
}
