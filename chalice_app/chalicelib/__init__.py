"""The task service, from the ground up: a room imports only from floors below its own.

6  ../app.py   chalice_cli
5  runtime     web        pages
4  service     worker      sweeper    handlers
3  store       fate       migrations
2  registry    outcome     schemas    db        queue
1  task        settings    tracing    logs      metrics      strict_json
0  errors
"""
