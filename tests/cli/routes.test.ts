import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { runSarf } from './runSarf.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sarf-routes-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true })
})

interface ProgrammeFile {
  accountTypes: Record<string, string>
  versions: { validFrom: string; routes: { transaction: string; purse: string; terminalClasses: string[] }[] }[]
}

/** The file of `config/`, changed, in a place of its own. */
function changed(file: 'programme' | 'sarf', change: (content: unknown) => void): string {
  const content: unknown = JSON.parse(readFileSync(new URL(`../../config/${file}.json`, import.meta.url), 'utf8'))
  change(content)
  const path = join(folder, `${file}.json`)
  writeFileSync(path, JSON.stringify(content))
  return path
}

it('prints what each account type means and where a transaction may draw on a purse', async () => {
  const { code, stdout } = await runSarf(['routes'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^ {2}97 +bread +LOAF of a household$/m)
  expect(stdout).toMatch(/^ {2}94 +health +cover of a person$/m)
  expect(stdout).toMatch(/^ {2}dispense +bread +bakery +5462$/m)
  expect(stdout).toMatch(/^ {2}purchase +cash +pos, grocer, bakery, clinic +any$/m)
})

it('shows the rules of the day that is asked for', async () => {
  const programme = changed('programme', (content) => {
    const { versions } = content as ProgrammeFile
    const later = structuredClone(versions[0]!)
    later.validFrom = '2030-07-01'
    later.routes.find(({ transaction, purse }) => transaction === 'dispense' && purse === 'bread')!.terminalClasses = ['kiosk']
    versions.push(later)
  })
  const on = async (day: string) => (await runSarf(['routes', '--day', day], { SARF_PROGRAMME: programme })).stdout
  expect(await on('2030-06-30')).toMatch(/^ {2}dispense +bread +bakery /m)
  const after = await on('2030-07-01')
  expect(after).toContain('on 2030-07-01: rules from 2030-07-01')
  expect(after).toMatch(/^ {2}dispense +bread +kiosk /m)
})

it('shows what a link understands otherwise', async () => {
  const settings = changed('sarf', (content) => {
    const { links } = content as { links: { name: string; accountTypes?: Record<string, string> }[] }
    links.find(({ name }) => name === 'gateway')!.accountTypes = { '40': 'bread' }
  })
  const { stdout } = await runSarf(['routes'], { SARF_CONFIG: settings })
  expect(stdout).toMatch(/^otherwise on link gateway\n {2}40 +bread +LOAF of a household$/m)
  const { stdout: json } = await runSarf(['routes', '--json'], { SARF_CONFIG: settings })
  expect(JSON.parse(json)).toMatchObject({
    validFrom: '2026-01-01',
    accountTypes: { programme: { '97': 'bread' }, links: { gateway: { '40': 'bread' } } },
  })
})

it.each<[string, (content: unknown) => void, string]>([
  [
    'an account type of a purse that there is not',
    (content) => ((content as ProgrammeFile).accountTypes['96'] = 'gold'),
    'account type 96 means "gold"',
  ],
  [
    'a route twice',
    (content) =>
      (content as ProgrammeFile).versions[0]!.routes.push({ transaction: 'dispense', purse: 'bread', terminalClasses: ['pos'] }),
    'dispense of bread has two routes',
  ],
])('a programme with %s is exit code 1 and one line', async (_what, change, expected) => {
  const { code, stdout, stderr } = await runSarf(['routes'], { SARF_PROGRAMME: changed('programme', change) })
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^error: .*programme\.json: .*\n$/)
  expect(stderr).toContain(expected)
})

it.each([['--day', '2026-02-30'], ['--day', 'tomorrow'], ['--nonsense']])('%s %s is exit code 2', async (...given) => {
  const { code } = await runSarf(['routes', ...given])
  expect(code).toBe(2)
})
