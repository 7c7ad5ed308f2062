import { openPackRig } from '../../test/fixtures/pack-rig.ts';
import { storeOfContract } from '../../test/contract/store-of.ts';

storeOfContract({
  name: 'packs in a bucket',
  damageable: true,
  async open() {
    const rig = await openPackRig();
    return { storeOf: rig.packs.storeOf, damage: rig.damage, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
  },
});
