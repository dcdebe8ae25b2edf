/** What the journals of stand-in rely on of a disk (src/standin/disk.ts): the same cases for the machine's own and for the simulated one. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Disk } from '../../src/standin/disk.ts'
import { systemDisk } from '../../src/standin/systemDisk.ts'
import { temporaryDirectory } from '../support/stack.ts'
import { FakeDisk } from './fakeDisk.ts'
import { SimulatedDisk } from './simulatedDisk.ts'
import { Traps, Weather } from './weather.ts'
import { World, type Life } from './world.ts'

export interface ContractDisk {
  readonly disk: Disk
  readonly root: string
  /** Whoever holds the lock of a directory dies. */
  readonly die: (directory: string, lockName: string) => void
}

export function systemContractDisk(): ContractDisk {
  const root = temporaryDirectory()
  return {
    disk: systemDisk,
    root,
    // What a machine leaves that lost its power: nothing in it.
    die: (directory, lockName) => writeFileSync(join(directory, lockName), ''),
  }
}

export function simulatedContractDisk(): ContractDisk {
  const world = new World(1, 0)
  const simulated = new SimulatedDisk(new FakeDisk(), { world, weather: new Weather(), traps: new Traps() })
  const life: Life = { name: 'A.1', alive: true, pausedUntilMs: 0, skewMs: 0 }
  const first = simulated.of(life)
  const others = simulated.of({ ...life, name: 'A.2' })
  let current = first
  /** The world goes on until it is done. */
  const pumped = async <T>(call: Promise<T>): Promise<T> => {
    const [done] = await Promise.allSettled([call, world.run(world.nowMs + 1000)])
    if (done.status === 'rejected') throw done.reason
    return done.value
  }
  const disk: Disk = {
    makeDirectory: (path) => pumped(current.makeDirectory(path)),
    list: (path) => pumped(current.list(path)),
    read: (path) => pumped(current.read(path)),
    create: async (path) => {
      const file = await pumped(current.create(path))
      return {
        append: (bytes) => pumped(file.append(bytes)),
        sync: () => pumped(file.sync()),
        close: () => pumped(file.close()),
      }
    },
    rename: (from, to) => pumped(current.rename(from, to)),
    remove: (path) => pumped(current.remove(path)),
    syncDirectory: (path) => pumped(current.syncDirectory(path)),
    lock: async (path) => {
      const lock = await pumped(current.lock(path))
      return lock === undefined ? undefined : { release: () => pumped(lock.release()) }
    },
  }
  const die = (): void => {
    life.alive = false
    current = others
  }
  return { disk, root: 'root', die }
}

export function itKeepsTheContractOfDisks(open: () => ContractDisk): void {
  const text = async (disk: Disk, path: string): Promise<string> => (await disk.read(path)).toString()

  it('lists what there is, in order, and nothing where there is nothing', async () => {
    const { disk, root } = open()
    const at = `${root}/deep/deeper`
    expect(await disk.list(at)).toEqual([])
    await disk.makeDirectory(at)
    await disk.makeDirectory(at)
    await disk.makeDirectory(`${at}/c`)
    for (const name of ['b', 'a']) await (await disk.create(`${at}/${name}`)).close()
    expect(await disk.list(at)).toEqual(['a', 'b', 'c'])
    expect(await disk.list(`${root}/deep`)).toEqual(['deeper'])
  })

  it('appends to new files only, which keep what they have under another name', async () => {
    const { disk, root } = open()
    await disk.makeDirectory(root)
    await expect(disk.create(`${root}/none/file`)).rejects.toThrow('ENOENT')
    const file = await disk.create(`${root}/file`)
    await expect(disk.create(`${root}/file`)).rejects.toThrow('EEXIST')
    await file.append(Buffer.from('one'))
    await file.sync()
    await file.append(Buffer.from('two'))
    expect(await text(disk, `${root}/file`)).toBe('onetwo')
    await disk.rename(`${root}/file`, `${root}/other`)
    await file.append(Buffer.from('three'))
    await disk.syncDirectory(root)
    await file.close()
    expect(await text(disk, `${root}/other`)).toBe('onetwothree')
    await expect(disk.read(`${root}/file`)).rejects.toThrow('ENOENT')
    await disk.remove(`${root}/other`)
    await expect(disk.remove(`${root}/other`)).rejects.toThrow('ENOENT')
    await expect(disk.syncDirectory(`${root}/none`)).rejects.toThrow('ENOENT')
  })

  it('gives a directory to one of many, and to the next when it was let go or its holder has died', async () => {
    const { disk, root, die } = open()
    await disk.makeDirectory(root)
    const locks = await Promise.all(Array.from({ length: 5 }, () => disk.lock(root)))
    const [first] = locks.filter((lock) => lock !== undefined)
    expect(locks.filter((lock) => lock !== undefined)).toHaveLength(1)
    expect((await disk.list(root)).filter((name) => name.startsWith('lock.'))).toHaveLength(1)
    expect(await disk.lock(root)).toBeUndefined()
    await first?.release()
    expect(await disk.list(root)).toEqual([])
    const second = await disk.lock(root)
    expect(second).toBeDefined()
    die(root, (await disk.list(root))[0] ?? '')
    expect(await disk.lock(root)).toBeDefined()
    expect(await disk.list(root)).toHaveLength(1)
  })
}
