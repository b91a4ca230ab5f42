"""The rivals: how a user of Keras trains the same trials without `sweep`, in processes."""

import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from throughput_process import CORES, BusyShare, Child
from throughput_trials import BATCH, Params, in_memory, make_study, suggest

from sweep.data import DataRef

READY, STOP = "ready", "stop"
VALIDATION_BATCH = 1000


def build_model(params: Params) -> Any:
    """The deep network in the way that Keras's own guides write it, not compiled yet."""
    import keras

    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()])
    for _ in range(20):
        model.add(keras.layers.Dense(100, kernel_initializer=params["kernel_initializer"]))
        if params["batch_norm"]:
            model.add(keras.layers.BatchNormalization())
        model.add(keras.layers.Activation(params["activation"]))
        if params["dropout"]:
            model.add(keras.layers.Dropout(params["dropout_rate"]))
    model.add(keras.layers.Dense(10, activation="softmax"))
    return model


def compile_model(model: Any, params: Params, **options: Any) -> None:
    """Compile it with the trial's optimizer."""
    import keras

    rate = params["learning_rate"]
    optimizer = {
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=0.9),
        "adam": lambda: keras.optimizers.Adam(rate),
        "nadam": lambda: keras.optimizers.Nadam(rate),
    }[params["optimizer"]]()
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)


def serve_user(connection: Connection, data: DataRef, epochs: int, seed: int) -> None:
    """A user's own loop: one process, all cores, Optuna's `optimize` around plain `fit`.

    Each request is a number of trials; the answer is their seconds and their parameters.
    """
    import keras

    (x, y), validation = in_memory(data)

    def objective(trial: Any) -> float:
        keras.utils.clear_session()
        params = suggest(trial)
        model = build_model(params)
        compile_model(model, params)
        history = model.fit(
            x, y, validation_data=validation, epochs=epochs, batch_size=BATCH, verbose=0
        )
        return float(history.history["val_accuracy"][-1])

    study = make_study(seed)
    connection.send(READY)
    while True:
        trials = connection.recv()
        started = time.perf_counter()
        study.optimize(objective, n_trials=trials)
        seconds = time.perf_counter() - started
        connection.send((seconds, [dict(trial.params) for trial in study.trials[-trials:]]))


def serve_jit(
    connection: Connection, data: DataRef, epochs: int, steps_per_execution: int
) -> None:
    """Keras at its best on one core: XLA, and many steps for each return to Python.

    Each request is the parameters of a trial; the answer is its seconds. `STOP` ends a trial
    early, at the end of its epoch.
    """
    import keras

    class Stopper(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.model.stop_training = connection.poll()

    (x, y), validation = in_memory(data)
    connection.send(READY)
    while True:
        request = connection.recv()
        if request == STOP:
            continue
        started = time.perf_counter()
        keras.utils.clear_session()
        model = build_model(request)
        compile_model(model, request, jit_compile=True, steps_per_execution=steps_per_execution)
        model.fit(
            x,
            y,
            validation_data=validation,
            epochs=epochs,
            batch_size=BATCH,
            # Whole batches: the rest of a last one would be compiled for once more.
            validation_batch_size=VALIDATION_BATCH,
            callbacks=[Stopper()],
            verbose=0,
        )
        connection.send(time.perf_counter() - started)


def serve_fit(connection: Connection, data: DataRef) -> None:
    """Plain Keras `fit`; (parameters, epochs) is answered with the epochs' seconds."""
    import keras

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
            self.marks = [time.perf_counter()]

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.marks.append(time.perf_counter())

    (x, y), validation = in_memory(data)
    connection.send(READY)
    while True:
        params, epochs = connection.recv()
        keras.utils.clear_session()
        model = build_model(params)
        compile_model(model, params)
        clock = Clock()
        model.fit(
            x,
            y,
            validation_data=validation,
            epochs=1 + epochs,
            batch_size=BATCH,
            callbacks=[clock],
            verbose=0,
        )
        # The first epoch compiles.
        connection.send([b - a for a, b in zip(clock.marks[1:], clock.marks[2:], strict=False)])


class User:
    """The user's loop, its images in memory."""

    def __init__(self, data: DataRef, epochs: int, seed: int) -> None:
        """Start the process and wait until it can train."""
        self._child = Child(serve_user, data, epochs, seed)
        self._child.connection.recv()

    def train(self, trials: Sequence[Params]) -> dict[str, Any]:
        """Train the next trials of the study, which are these, one after the other."""
        busy = BusyShare()
        seconds, params = self._child.call(len(trials))
        if params != list(trials):
            raise AssertionError(f"the user's study drew {params} instead of {trials}")
        return {
            "seconds": seconds,
            "trials_per_hour": 3600.0 * len(trials) / seconds,
            "busy": busy.value(),
        }

    def close(self) -> None:
        """End the process."""
        self._child.close()


class JitTeam:
    """Keras with jit, one pinned process of one thread on each core."""

    def __init__(self, data: DataRef, epochs: int, steps_per_execution: int) -> None:
        """Start the processes and wait until they can train."""
        self._children = [
            Child(serve_jit, data, epochs, steps_per_execution, core=core) for core in CORES
        ]
        for child in self._children:
            child.connection.recv()

    def train(self, trials: Sequence[Params]) -> dict[str, Any]:
        """Train the trials, each process the next one as soon as it is free.

        A process that finds none left trains its last one again, uncounted, until the others are
        done: so every counted second has all cores busy.
        """
        queue, busy = deque(trials), BusyShare()
        counted: dict[Connection, bool] = {}
        last: dict[Connection, Params] = {}
        seconds: list[float] = []

        def hand_out(connection: Connection) -> None:
            counted[connection] = bool(queue)
            last[connection] = queue.popleft() if queue else last.get(connection, trials[-1])
            connection.send(last[connection])

        for child in self._children:
            hand_out(child.connection)
        while len(seconds) < len(trials):
            for connection in wait(list(counted)):
                answer = connection.recv()
                if counted[connection]:
                    seconds.append(answer)
                if len(seconds) < len(trials):
                    hand_out(connection)
                else:
                    del counted[connection]
        share = busy.value()
        for connection in counted:
            connection.send(STOP)
            connection.recv()
        return {
            "trial_seconds": seconds,
            "trials_per_hour": 3600.0 * len(CORES) * len(trials) / sum(seconds),
            "busy": share,
        }

    def close(self) -> None:
        """End the processes."""
        for child in self._children:
            child.close()
