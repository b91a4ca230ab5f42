"""The fused engine: many trials trained by one compiled program.

The modules, from the trial to the device:
    key            what two trials must share to be trained together; standard library only
    activations, noise, images, network, optimizers     the arithmetic, on arrays of many slots
    settings       what differs from slot to slot, as arrays
    layout         Keras's weights as arrays of slots, and back
    program        the epoch: built from the arithmetic, compiled by an adapter
    adapters/      gradient, compilation and memory of TensorFlow and JAX
    cohort, engine trials placed in slots, trained, and taken out again
"""
