"""The Celery app of these tests: the same for the test, which starts tasks, and for its workers."""

from __future__ import annotations

from celery import Celery


def make_app(url: str, queue: str, *, visibility_timeout: int) -> Celery:
    """An app whose queue, and whatever else it keeps at the broker, is named ``queue``.

    ``visibility_timeout`` in seconds: so long a task may take with Redis before another worker gets it as
    well. RabbitMQ notices at once that a worker is gone.
    """
    app = Celery("rokka-tests", broker=url, set_as_current=False)
    app.conf.update(
        task_default_queue=queue,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
    )
    if url.startswith("redis:"):
        app.conf.broker_transport_options = {
            "global_keyprefix": f"{queue}/",
            "visibility_timeout": visibility_timeout,
            # How often somebody looks for messages of workers that are gone; a lock must not keep them.
            "unacked_restore_interval": 0.2,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 1,
        }
    return app


def remove_queue(app: Celery, queue: str) -> None:
    """Delete everything that the app kept at the broker."""
    url = app.conf.broker_url
    if url.startswith("redis:"):
        import redis

        with redis.Redis.from_url(url) as client:
            for key in client.scan_iter(match=f"{queue}/*"):
                client.delete(key)
        return
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        channel.queue_delete(queue)
        channel.exchange_delete(queue)
