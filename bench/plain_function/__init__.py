"""The folder of the plain Lambda function, as the local mapping wants one."""
