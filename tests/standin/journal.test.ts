/** The journal on a disk that fails when it is told to; locks on the machine's own. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import files from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi, type MockInstance } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { silentLogger } from '../../src/log.ts'
import type { Disk } from '../../src/standin/disk.ts'
import { Drain, type Posted } from '../../src/standin/drain.ts'
import { JournalClosed, JournalUncertain } from '../../src/standin/journal.ts'
import { encodeRecord, fileStart, readJournal } from '../../src/standin/journalFile.ts'
import { Journals, type JournalsOptions } from '../../src/standin/journals.ts'
import type { StopRecord } from '../../src/standin/record.ts'
import { systemDisk } from '../../src/standin/systemDisk.ts'
import { temporaryDirectory } from '../support/stack.ts'

const root = temporaryDirectory()
let directory: string
let made = 0
/** What the disk does next instead of what it is asked for. */
let failing: Partial<Record<'append' | 'sync' | 'create', boolean>>

beforeEach(() => {
  directory = join(root, String(++made))
  failing = {}
})

afterEach(() => {
  vi.restoreAllMocks()
  syncBuiltinESMExports()
})

/** Whoever has imported it by its name calls the spy from now on. */
function spyOnFiles(name: 'open' | 'rm'): MockInstance {
  const spy: MockInstance = vi.spyOn(files, name)
  syncBuiltinESMExports()
  return spy
}

const disk: Disk = {
  ...systemDisk,
  async create(path) {
    if (failing.create === true) throw new Error('ENOSPC')
    const file = await systemDisk.create(path)
    return {
      ...file,
      append: async (bytes) => {
        await file.append(failing.append === true ? bytes.subarray(0, bytes.length >> 1) : bytes)
        if (failing.append === true) throw new Error('EIO')
      },
      sync: async () => {
        if (failing.sync === true) throw new Error('EIO')
        await file.sync()
      },
    }
  },
}

async function open(more: Partial<JournalsOptions> = {}): Promise<Journals> {
  const limits = { fileBytesMax: 4096, filesMax: 2, batchMax: 16, reopenMs: 20, slotsMax: 4 }
  const journals = new Journals({ ...limits, disk, directory, node: 'a', clock: systemClock, log: silentLogger, ...more })
  await journals.open()
  return journals
}

function record(key: string): StopRecord {
  return { type: 'stop', key, fingerprint: 'f', link: 'secure', token: 't', what: 'lost', reference: null, atMs: 1 }
}

const keysOf = (journals: Journals): string[] => [...journals.entries()].map((entry) => (entry.record as StopRecord).key)

describe('a journal', () => {
  it('gives what was written, in order, to the next process that has its slot, also where the end was cut off', async () => {
    const first = await open()
    for (const key of ['1', '2', '3']) await first.append(record(key))
    await first.close()
    const [file = ''] = readdirSync(join(directory, 'slot-001')).filter((name) => name.endsWith('.journal'))
    writeFileSync(join(directory, 'slot-001', file), encodeRecord(record('4')).subarray(0, -1), { flag: 'a' })
    const second = await open()
    expect(keysOf(second)).toEqual(['1', '2', '3'])
    expect(second.damagedFiles).toBe(0)
    await second.append(record('5'))
    expect(keysOf(second)).toEqual(['1', '2', '3', '5'])
    await second.close()
  })

  it.each(['append', 'sync'] as const)(
    'whose %s fails tells that nothing is known, and goes on in another file',
    async (what) => {
      const journals = await open()
      await journals.append(record('1'))
      failing[what] = true
      await expect(journals.append(record('2'))).rejects.toThrow(JournalUncertain)
      failing = {}
      await journals.append(record('3'))
      expect(keysOf(journals)).toEqual(['1', '3'])
      expect(journals.failures).toBe(1)
      await journals.close()
    },
  )

  it('that gets no file says so, and tries again after a while', async () => {
    const journals = await open()
    failing.create = true
    await expect(journals.append(record('1'))).rejects.toThrow(JournalClosed)
    expect(journals.ready).toBe(false)
    failing = {}
    await expect.poll(() => journals.ready).toBe(true)
    await journals.append(record('2'))
    expect(keysOf(journals)).toEqual(['2'])
    await journals.close()
  })

  it('is full at its number of files, and has room again when one is drained', async () => {
    const journals = await open()
    let written = 0
    while (!journals.full) await journals.append(record(String(++written)))
    await expect(journals.append(record('more'))).rejects.toThrow(JournalClosed)
    expect(journals.undrained).toBe(written)
    for (const entry of [...journals.entries()].slice(0, written - 1)) journals.markPosted(entry)
    await journals.tidy(false)
    expect(journals.ready).toBe(true)
    await journals.append(record('more'))
    expect(keysOf(journals)).toEqual([String(written), 'more'])
    await journals.close()
  })

  it('that is damaged is read on both sides of it, wherever the damage is', () => {
    const records = ['1', '2', '3'].map(record)
    const parts = [fileStart({ type: 'head', journal: 'a/slot-001', createdMs: 1 }), ...records.map(encodeRecord)]
    const whole = Buffer.concat(parts)
    const starts = parts.map((_, index) => Buffer.concat(parts.slice(0, index)).length)
    for (let at = 0; at < whole.length; at++) {
      const damaged = Buffer.from(whole)
      damaged[at]! ^= 0xff
      const { records: read, damagedBytes, tornBytes } = readJournal(damaged)
      const hit = starts.findLastIndex((start) => start <= at)
      expect(read).toEqual(records.filter((_, index) => index + 1 !== hit))
      if (hit > 0) expect([at, damagedBytes > 0, tornBytes > 0]).toEqual([at, hit < 3, hit === 3])
    }
  })
})

describe('a slot', () => {
  it('is one living process’s; what a dead one left is taken over, and not what another machine’s has', async () => {
    const living = await open()
    await living.append(record('living'))
    for (const [slot, holder] of [
      ['slot-003', { host: hostname(), boot: 'another', pid: process.pid, start: '1' }],
      ['slot-004', { host: 'elsewhere', boot: 'another', pid: 1, start: '1' }],
      ['slot-005', { host: hostname(), boot: bootId(), pid: process.pid, start: '1' }],
    ] as const) {
      mkdirSync(join(directory, slot), { recursive: true })
      writeFileSync(join(directory, slot, 'lock.7'), JSON.stringify(holder))
      writeFileSync(
        join(directory, slot, '000001.journal'),
        Buffer.concat([fileStart({ type: 'head', journal: `b/${slot}`, createdMs: 1 }), encodeRecord(record(slot))]),
      )
    }
    const second = await open()
    expect(second.name).toBe('a/slot-002')
    expect(keysOf(second)).toEqual(['slot-003', 'slot-005'])
    expect(second.names).toEqual(['a/slot-002', 'a/slot-003', 'b/slot-003', 'a/slot-005', 'b/slot-005'])
    await Promise.all([living.close(), second.close()])
  })

  it('that lost what was in its lock, or has a journal that cannot be read, keeps nobody from the others', async () => {
    mkdirSync(join(directory, 'slot-001', '000001.journal'), { recursive: true })
    mkdirSync(join(directory, 'slot-002'), { recursive: true })
    writeFileSync(join(directory, 'slot-002', 'lock.1'), '')
    const journals = await open()
    expect(journals.name).toBe('a/slot-002')
    expect(journals.ready).toBe(true)
    await journals.close()
  })

  it('that a dead process took and wrote nothing to is taken over too: Redis may name it', async () => {
    const living = await open()
    mkdirSync(join(directory, 'slot-002'), { recursive: true })
    writeFileSync(
      join(directory, 'slot-002', 'lock.1'),
      JSON.stringify({ host: hostname(), boot: 'another', pid: 1, start: '1' }),
    )
    expect(await living.adopt()).toBe(true)
    expect(living.names).toEqual(['a/slot-001', 'a/slot-002'])
    await living.close()
  })

  it('whose lock could neither be made durable nor be taken back is had by the next who asks, also of the same process', async () => {
    await systemDisk.makeDirectory(directory)
    spyOnFiles('open').mockRejectedValueOnce(new Error('EIO'))
    spyOnFiles('rm').mockRejectedValueOnce(new Error('EIO'))
    await expect(systemDisk.lock(directory)).rejects.toThrow('EIO')
    expect(readdirSync(directory)).toEqual(['lock.1'])
    const lock = await systemDisk.lock(directory)
    expect(lock).toBeDefined()
    expect(await systemDisk.lock(directory)).toBeUndefined()
    await lock?.release()
    expect(readdirSync(directory)).toEqual([])
  })

  it('is durable with those above it, also where somebody made it who died before he had seen to that', async () => {
    const path = join(directory, 'deep', 'slot-001')
    mkdirSync(path, { recursive: true })
    const spy = spyOnFiles('open')
    await systemDisk.makeDirectory(path)
    const opened = spy.mock.calls.map(([name]: unknown[]) => name)
    expect(opened.slice(0, 3)).toEqual([join(directory, 'deep'), directory, root])
  })

  it('is had by one of many that find it free at the same time', async () => {
    await systemDisk.makeDirectory(directory)
    const locks = await Promise.all(Array.from({ length: 20 }, () => systemDisk.lock(directory)))
    expect(locks.filter((lock) => lock !== undefined)).toHaveLength(1)
    for (const lock of locks) await lock?.release()
    const next = await systemDisk.lock(directory)
    expect(next).toBeDefined()
    expect(await systemDisk.lock(directory)).toBeUndefined()
  })
})

describe('the drain', () => {
  it('posts stops and decisions until the ledger goes, tries again what is not known, and tells Redis before the files go', async () => {
    const journals = await open()
    for (const key of ['1', '2', '3']) await journals.append(record(key))
    const answers: Posted[] = ['posted', undefined, 'failed', 'skipped']
    const told: string[] = []
    const drain = new Drain({
      ...{ journals, everyMs: 1, batchMax: 1, clock: systemClock, log: silentLogger },
      ledgerAvailable: () => true,
      post: () => Promise.reject(new Error('there is no decision')),
      stop: ({ key }) => {
        told.push(key)
        return Promise.resolve(answers.shift())
      },
      hold: () => Promise.resolve(true),
      leave: (names) => {
        told.push(`leave with ${String(readdirSync(join(directory, 'slot-001')).length)} files: ${names.join(' ')}`)
        return Promise.resolve(0)
      },
    })
    await drain.round()
    expect([told.splice(0), journals.undrained]).toEqual([['1', '2', '3'], 2])
    await drain.round()
    expect([told.splice(0), journals.undrained, drain.failed]).toEqual([['2'], 1, 1])
    await drain.round()
    expect(told.splice(0)).toEqual([])
    for (let round = 0; round < 30 && journals.undrained > 0; round++) {
      answers.splice(0, 4, 'posted')
      await drain.round()
    }
    expect(told).toEqual(['3', 'leave with 2 files: a/slot-001'])
    expect(readdirSync(join(directory, 'slot-001'))).toEqual(['lock.1'])
    await journals.close()
  })
})

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}
