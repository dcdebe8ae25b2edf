/** `sarf standin`: what the journals of stand-in in a folder hold. It changes nothing, and may run beside a switch. */
import { Command } from 'commander'
import { readJournal } from '../standin/journalFile.ts'
import { systemDisk } from '../standin/systemDisk.ts'

/** Exit codes: 0 nothing is damaged, 1 a file is, 2 the command was used wrongly. */
export function standinCommand(): Command {
  const command = new Command('standin')
    .description('Show what the journals of stand-in hold that may not be in the ledger yet, and what of them is damaged.')
    .argument('<folder>', 'as SARF_STANDIN_DIRECTORY names it')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExit codes: 0 nothing is damaged, 1 a file is, 2 wrong usage.')
  command.action(async (folder: string, { json }: { json?: true }) => {
    const files = await readFolder(folder)
    const text = json === true ? JSON.stringify({ files }) + '\n' : files.map(fileText).join('') + totalText(files)
    command.configureOutput().writeOut?.(text)
    process.exitCode = files.some(({ damagedBytes }) => damagedBytes > 0) ? 1 : 0
  })
  return command
}

interface FileShown {
  readonly file: string
  readonly journal: string | null
  readonly approvals: number
  readonly declines: number
  readonly stops: number
  readonly oldest: string | null
  readonly tornBytes: number
  readonly damagedBytes: number
}

async function readFolder(folder: string): Promise<FileShown[]> {
  const shown: FileShown[] = []
  for (const slot of await systemDisk.list(folder)) {
    if (!slot.startsWith('slot-')) continue
    for (const name of await systemDisk.list(`${folder}/${slot}`)) {
      if (!/\.journal(\.damaged)?$/.test(name)) continue
      const { head, records, tornBytes, damagedBytes } = readJournal(await systemDisk.read(`${folder}/${slot}/${name}`))
      const decisions = records.flatMap((record) => (record.type === 'decision' ? [record] : []))
      const approvals = decisions.filter(({ reason }) => reason === null).length
      const atMs = records.map((record) => record.atMs)
      shown.push({
        file: `${slot}/${name}`,
        journal: head?.journal ?? null,
        approvals,
        declines: decisions.length - approvals,
        stops: records.length - decisions.length,
        oldest: atMs.length === 0 ? null : new Date(Math.min(...atMs)).toISOString(),
        tornBytes,
        damagedBytes,
      })
    }
  }
  return shown
}

function fileText({ file, approvals, declines, stops, oldest, tornBytes, damagedBytes }: FileShown): string {
  const counts = `${String(approvals)} approvals, ${String(declines)} declines, ${String(stops)} stops`
  const torn = tornBytes > 0 ? `, ${String(tornBytes)} bytes torn off at the end` : ''
  const damaged = damagedBytes > 0 ? `, DAMAGED: ${String(damagedBytes)} bytes are no records` : ''
  return `${file}  ${counts}${oldest === null ? '' : `, from ${oldest}`}${torn}${damaged}\n`
}

function totalText(files: readonly FileShown[]): string {
  if (files.length === 0) return 'nothing is held\n'
  const sum = (of: (file: FileShown) => number): string => String(files.reduce((total, file) => total + of(file), 0))
  return `${sum(({ approvals }) => approvals)} approvals, ${sum(({ declines }) => declines)} declines and ${sum(({ stops }) => stops)} stops in ${String(files.length)} files\n`
}
